// From a step to the wire: how long a token takes through the WebSocket, and what readers that do not read do
// to others.
//
//   souffleur_stream_bench [STREAMS [SLOW_READERS [SECONDS]]]
//
// A service without a model makes one token for each stream every 50 ms. Clients are in this process, on a
// thread of their own. "wire": from the service's call to the client's read; "gap": between two deltas of a
// stream. "machine": the same through two bare sockets and nothing else, which is what no server can beat
// here.
#include "net/server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

namespace souffleur {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using steady = std::chrono::steady_clock;
using socket_type = beast::websocket::stream<asio::ip::tcp::socket>;

constexpr std::chrono::milliseconds step_time{50};
constexpr int slow_text_bytes = 16384; ///< fills a socket's buffers in seconds

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(steady::now().time_since_epoch()).count();
}

/// Each token's text begins with the time at which it was made. `max_tokens` of a request: bytes of the text.
class paced_service final : public generation_service {
public:
  paced_service() : thread_([this] { run(); }) {}
  ~paced_service() override {
    over_ = true;
    thread_.join();
  }

  void submit(generation_request request, generation_sink sink) override {
    sink(generation_accepted{1, 1});
    const std::lock_guard lock{mutex_};
    running_[request.id] = {request.sampling.max_tokens, std::move(sink)};
  }
  void cancel(request_id id) override {
    const std::lock_guard lock{mutex_};
    running_.erase(id);
  }
  void change(request_id, const generation_change&) override {}
  const served_model& model() const override { return model_; }
  std::vector<token_id> tokenize(const std::string&, bool) const override { return {}; }
  std::string detokenize(const std::vector<token_id>&) const override { return ""; }
  std::string metrics() const override { return ""; }
  void ask_kv(int, kv_sink sink) override { sink(std::nullopt); }
  void forget_answers(const std::string&, purge_sink sink) override { sink(std::nullopt); }
  bool ready() const override { return true; }

private:
  struct generation {
    int n_bytes = 0;
    generation_sink sink;
  };

  void run() {
    for (auto next = steady::now(); !over_; next += step_time) {
      std::this_thread::sleep_until(next);
      const std::lock_guard lock{mutex_};
      for (auto& [id, one] : running_) {
        auto text = std::to_string(now_ns()) + " ";
        text.resize(static_cast<std::size_t>(std::max(one.n_bytes, 21)), 'x');
        generation_delta delta;
        delta.tokens.push_back({1, token_origin::model, text, text, {}});
        one.sink(std::move(delta));
      }
    }
  }

  served_model model_{"paced", "", 2048, 256, 0, 0, 0};
  std::mutex mutex_;
  std::map<request_id, generation> running_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

struct measured {
  std::vector<double> wire_us;
  std::vector<double> gap_us;
};

double at(std::vector<double>& values, double share) {
  if (values.empty())
    return 0;
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

socket_type connected(asio::io_context& io, std::uint16_t port, bool compressed) {
  socket_type socket{io};
  socket.next_layer().open(asio::ip::tcp::v4());
  socket.next_layer().connect({asio::ip::address_v4::loopback(), port});
  beast::websocket::permessage_deflate compression;
  compression.client_enable = compressed;
  socket.set_option(compression);
  socket.handshake("localhost", "/v1/stream");
  return socket;
}

void begin_stream(socket_type& socket, int n_bytes) {
  socket.write(asio::buffer(R"({"type":"generate","id":"a","prompt":"x","keep":false,"max_tokens":)" +
                            std::to_string(n_bytes) + "}"));
}

asio::awaitable<void> read_all(socket_type& socket, measured& seen) {
  std::int64_t last_ns = 0;
  for (;;) {
    beast::flat_buffer buffer;
    boost::system::error_code error;
    co_await socket.async_read(buffer, asio::redirect_error(asio::use_awaitable, error));
    if (error)
      co_return;
    const auto arrived_ns = now_ns();
    const auto frame = beast::buffers_to_string(buffer.data());
    const auto text = frame.find(R"("text":")");
    if (text == std::string::npos)
      continue;
    const auto made_ns = std::atoll(frame.c_str() + text + 8);
    seen.wire_us.push_back(static_cast<double>(arrived_ns - made_ns) / 1000);
    if (last_ns > 0)
      seen.gap_us.push_back(static_cast<double>(arrived_ns - last_ns) / 1000);
    last_ns = arrived_ns;
  }
}

/// `n_large` of the streams have large texts; with `slow` nobody reads those.
measured measure(int n_streams, int n_large, bool slow, bool compressed, int n_seconds) {
  paced_service service;
  server_options options;
  options.port = 0;
  options.compress = compressed;
  auto server = std::move(*server::start(options, service));
  asio::io_context io;
  std::vector<std::unique_ptr<socket_type>> sockets;
  measured seen;
  measured ignored;
  for (int i = 0; i < n_streams; ++i) {
    const bool large = i < n_large;
    sockets.push_back(std::make_unique<socket_type>(connected(io, server->port(), compressed && !large)));
    if (large && slow)
      sockets.back()->next_layer().set_option(asio::socket_base::receive_buffer_size{4096});
    begin_stream(*sockets.back(), large ? slow_text_bytes : 24);
    if (!large || !slow)
      asio::co_spawn(io, read_all(*sockets.back(), large ? ignored : seen), asio::detached);
  }
  io.run_for(std::chrono::seconds{n_seconds});
  for (auto& socket :
       sockets) // else the server waits for answers to its close frames, which nobody would read
    socket->next_layer().close();
  server->stop();
  return seen;
}

/// A thread that sleeps until each step writes a time to a socket, and this one reads it.
measured measure_machine(int n_seconds) {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
  asio::ip::tcp::socket to{io};
  to.connect(acceptor.local_endpoint());
  auto from = acceptor.accept();
  to.set_option(asio::ip::tcp::no_delay{true});
  const auto n_steps = std::chrono::seconds{n_seconds} / step_time;
  std::thread writer{[&] {
    auto next = steady::now();
    for (auto i = n_steps; i > 0; --i, next += step_time) {
      std::this_thread::sleep_until(next);
      const auto made_ns = now_ns();
      asio::write(to, asio::buffer(&made_ns, sizeof made_ns));
    }
  }};
  measured seen;
  for (auto i = n_steps; i > 0; --i) {
    std::int64_t made_ns = 0;
    asio::read(from, asio::buffer(&made_ns, sizeof made_ns));
    seen.wire_us.push_back(static_cast<double>(now_ns() - made_ns) / 1000);
  }
  writer.join();
  return seen;
}

void show(const char* what, measured& seen) {
  std::printf("%-34s wire p50 %6.0f  p99 %6.0f us;  gap p50 %6.2f  p99 %6.2f ms  (%zu tokens)\n", what,
              at(seen.wire_us, 0.5), at(seen.wire_us, 0.99), at(seen.gap_us, 0.5) / 1000,
              at(seen.gap_us, 0.99) / 1000, seen.wire_us.size());
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) {
  using namespace souffleur;
  const auto argument = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  const int n_streams = argument(1, 200), n_slow = argument(2, 20), n_seconds = argument(3, 5);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  auto machine = measure_machine(n_seconds);
  show("machine", machine);
  for (const bool compressed : {false, true}) {
    std::printf("%s\n", compressed ? "permessage-deflate" : "not compressed");
    for (const int n : {1, 32}) {
      auto few = measure(n, 0, false, compressed, n_seconds);
      show(("  " + std::to_string(n) + " streams").c_str(), few);
    }
    std::vector<double> ratios;
    for (int i = 0; i < 3; ++i) {
      auto all_read = measure(n_streams, n_slow, false, compressed, n_seconds);
      auto some_do_not = measure(n_streams, n_slow, true, compressed, n_seconds);
      show("  all read", all_read);
      show(("  " + std::to_string(n_slow) + " do not read").c_str(), some_do_not);
      ratios.push_back(at(some_do_not.gap_us, 0.99) / at(all_read.gap_us, 0.99));
    }
    std::printf("  gap p99 with readers that do not read / without: %.2f (%.2f to %.2f)\n", at(ratios, 0.5),
                at(ratios, 0), at(ratios, 1));
  }
  return 0;
}
