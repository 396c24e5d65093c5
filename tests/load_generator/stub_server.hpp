// A server that streams tokens at a pace of its own choosing, over SSE and over the WebSocket, without a
// model.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace souffleur::testing {

struct stub_behaviour {
  std::chrono::microseconds first{0};    ///< before the first token of an answer
  std::chrono::microseconds interval{0}; ///< between tokens
  int n_tokens_an_event = 1;
  bool usage = true; ///< the last event has it
  bool drops_answers =
      false; ///< the connection is closed after each answer without saying so, as llama.cpp's server does
  int fails_every = 0; ///< each so many-th request gets an error; 0: none
};

/// Answers with `max_tokens` tokens "t0 t1 t2 …". Runs on a thread of its own.
class stub_server {
public:
  explicit stub_server(stub_behaviour how)
      : how_(how), acceptor_(io_, {boost::asio::ip::address_v4::loopback(), 0}) {
    boost::asio::co_spawn(io_, accept(), boost::asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~stub_server() {
    io_.stop();
    thread_.join();
  }

  int port() const { return acceptor_.local_endpoint().port(); }
  std::string http_url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  std::string stream_url() const { return "ws://127.0.0.1:" + std::to_string(port()) + "/v1/stream"; }

  std::vector<boost::json::object> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }
  int n_connections() const { return n_connections_; }
  int most_at_once() const { return most_at_once_; }
  int n_abandoned() const { return n_abandoned_; }

private:
  template <class T>
  using awaitable = boost::asio::awaitable<T>;
  using socket = boost::asio::ip::tcp::socket;
  static constexpr auto awaited = boost::asio::use_awaitable;

  awaitable<void> accept() {
    for (;;) {
      auto accepted = co_await acceptor_.async_accept(awaited);
      accepted.set_option(boost::asio::ip::tcp::no_delay{true});
      ++n_connections_;
      boost::asio::co_spawn(io_, serve(std::move(accepted)), boost::asio::detached);
    }
  }

  awaitable<void> serve(socket peer) {
    namespace beast = boost::beast;
    beast::flat_buffer buffer;
    try {
      for (;;) {
        beast::http::request<beast::http::string_body> request;
        co_await beast::http::async_read(peer, buffer, request, awaited);
        if (beast::websocket::is_upgrade(request)) {
          co_await serve_websocket(std::move(peer), std::move(request));
          co_return;
        }
        const auto asked = boost::json::parse(request.body()).as_object();
        if (!co_await answer_with_events(peer, asked))
          co_return;
      }
    } catch (const boost::system::system_error&) {
      // the client is gone
    }
  }

  /// Notes a request; how many tokens its answer has, none if it is to fail.
  std::optional<int> note(const boost::json::object& asked) {
    const std::lock_guard lock{mutex_};
    requests_.push_back(asked);
    if (how_.fails_every > 0 && static_cast<int>(requests_.size()) % how_.fails_every == 0)
      return std::nullopt;
    return static_cast<int>(asked.at("max_tokens").as_int64());
  }

  /// Counts the answers under way.
  struct answering {
    explicit answering(stub_server& of) : server(of) {
      server.most_at_once_ = std::max(server.most_at_once_.load(), ++server.n_at_once_);
    }
    ~answering() {
      --server.n_at_once_;
      server.n_abandoned_ += whole ? 0 : 1;
    }
    stub_server& server;
    bool whole = false;
  };

  /// Waits for the time of the i-th event.
  awaitable<void> pace(std::chrono::steady_clock::time_point begun, int i) {
    const auto due = begun + how_.first + i * how_.interval;
    if (due <= std::chrono::steady_clock::now())
      co_return;
    boost::asio::steady_timer timer{io_, due};
    co_await timer.async_wait(awaited);
  }

  static std::string text_of(int first, int n) {
    std::string text;
    for (int i = first; i < first + n; ++i)
      text.append("t").append(std::to_string(i)).append(" ");
    return text;
  }

  static std::string chunk(const std::string& data) {
    const auto event = "data: " + data + "\n\n";
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", event.size());
    return size + event + "\r\n";
  }

  static boost::json::object usage_of(int n_tokens) {
    return {{"prompt_tokens", 7},
            {"completion_tokens", n_tokens},
            {"prompt_tokens_details", boost::json::object{{"cached_tokens", 3}}}};
  }

  /// False: the connection is to be closed.
  awaitable<bool> answer_with_events(socket& peer, boost::json::object asked) {
    const auto begun = std::chrono::steady_clock::now();
    answering counted{*this};
    const auto n_tokens = note(asked);
    if (!n_tokens) {
      const std::string body = R"({"error": {"message": "no"}})";
      const auto head = "HTTP/1.1 500 No\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
      co_await boost::asio::async_write(peer, boost::asio::buffer(head + body), awaited);
      counted.whole = true;
      co_return true;
    }
    const std::string head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
        chunk(R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})");
    co_await boost::asio::async_write(peer, boost::asio::buffer(head), awaited);
    for (int made = 0, event = 0; made < *n_tokens; ++event) {
      co_await pace(begun, event);
      const int n = std::min(how_.n_tokens_an_event, *n_tokens - made);
      const auto bytes = chunk(
          R"({"id":"stub","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":")" +
          text_of(made, n) + R"("},"finish_reason":null}]})");
      co_await boost::asio::async_write(peer, boost::asio::buffer(bytes), awaited);
      made += n;
    }
    auto tail = chunk(R"({"choices":[{"index":0,"delta":{},"finish_reason":"length"}]})");
    if (how_.usage)
      tail += chunk(boost::json::serialize(
          boost::json::object{{"choices", boost::json::array{}}, {"usage", usage_of(*n_tokens)}}));
    tail += chunk("[DONE]") + "0\r\n\r\n";
    co_await boost::asio::async_write(peer, boost::asio::buffer(tail), awaited);
    counted.whole = true;
    co_return !how_.drops_answers;
  }

  using websocket = boost::beast::websocket::stream<socket>;

  /// Streams of one connection share it; frames are written one after the other.
  struct stream_peer {
    explicit stream_peer(socket peer) : frames(std::move(peer)), turn(frames.get_executor()) {}
    websocket frames;
    boost::asio::steady_timer turn;
    bool writing = false;
    bool cancelled = false; ///< the last stream was
  };

  awaitable<void> serve_websocket(socket peer,
                                  boost::beast::http::request<boost::beast::http::string_body> upgrade) {
    const auto shared = std::make_shared<stream_peer>(std::move(peer));
    co_await shared->frames.async_accept(upgrade, awaited);
    for (;;) {
      boost::beast::flat_buffer buffer;
      co_await shared->frames.async_read(buffer, awaited);
      const auto frame = boost::json::parse(boost::beast::buffers_to_string(buffer.data())).as_object();
      if (frame.at("type").as_string() == "generate") {
        shared->cancelled = false;
        boost::asio::co_spawn(io_, answer_with_frames(shared, frame), boost::asio::detached);
      } else {
        shared->cancelled = true;
      }
    }
  }

  awaitable<void> write(stream_peer& peer, std::string frame) {
    while (peer.writing) {
      boost::system::error_code called;
      peer.turn.expires_at(std::chrono::steady_clock::time_point::max());
      co_await peer.turn.async_wait(boost::asio::redirect_error(awaited, called));
    }
    peer.writing = true;
    peer.frames.text(true);
    co_await peer.frames.async_write(boost::asio::buffer(frame), awaited);
    peer.writing = false;
    peer.turn.cancel();
  }

  awaitable<void> answer_with_frames(std::shared_ptr<stream_peer> peer, boost::json::object asked) {
    const auto begun = std::chrono::steady_clock::now();
    answering counted{*this};
    const std::string id{asked.at("id").as_string()};
    int seq = 0;
    const auto head = [&](const char* type) {
      return std::string{R"({"type":")"} + type + R"(","id":")" + id + R"(","seq":)" + std::to_string(seq++) +
             ",";
    };
    const auto n_tokens = note(asked);
    if (!n_tokens) {
      co_await write(*peer, head("error") + R"("error":{"message":"no"}})");
      co_return;
    }
    co_await write(*peer, head("accepted") + R"("prompt_tokens":7})");
    int made = 0;
    for (int event = 0; made < *n_tokens && !peer->cancelled; ++event) {
      co_await pace(begun, event);
      const int n = std::min(how_.n_tokens_an_event, *n_tokens - made);
      std::string tokens;
      for (int i = 0; i < n; ++i)
        tokens.append(i > 0 ? "," : "").append(R"({"id":1,"origin":"model"})");
      co_await write(*peer,
                     head("delta") + R"("text":")" + text_of(made, n) + R"(","tokens":[)" + tokens + "]}");
      made += n;
    }
    counted.whole = made == *n_tokens;
    boost::json::object done{{"type", "done"},
                             {"id", id},
                             {"seq", seq},
                             {"finish_reason", counted.whole ? "length" : "cancelled"},
                             {"cache", boost::json::object{{"source", "exact"}}}};
    if (how_.usage)
      done["usage"] = usage_of(made);
    co_await write(*peer, boost::json::serialize(done));
  }

  // What connections use lives longer than they do.
  const stub_behaviour how_;
  mutable std::mutex mutex_;
  std::vector<boost::json::object> requests_;
  std::atomic<int> n_connections_{0};
  std::atomic<int> n_at_once_{0};
  std::atomic<int> most_at_once_{0};
  std::atomic<int> n_abandoned_{0};
  boost::asio::io_context io_{1};
  boost::asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

} // namespace souffleur::testing
