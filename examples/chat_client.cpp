// A terminal client of the WebSocket: streams one answer, or holds a conversation.
//
//   souffleur_chat "Why is the sky blue?"
//   souffleur_chat --url ws://127.0.0.1:8080/v1/stream        reads prompts from standard input
//   souffleur_chat --frames                                   reads frames, and prints those that come

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json.hpp>

#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <unistd.h>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace json = boost::json;
namespace websocket = beast::websocket;

struct options {
  std::string prompt;
  std::string url = "ws://127.0.0.1:8080/v1/stream";
  int max_tokens = 512;
  double temperature = 0.7;
  std::optional<std::int64_t> seed;
  bool verbose = false;
  bool frames = false;
};

struct endpoint {
  std::string host;
  std::string port;
  std::string path;
};

endpoint parse_url(const std::string& url) {
  const std::string scheme = "ws://";
  if (url.compare(0, scheme.size(), scheme) != 0)
    throw std::runtime_error("--url must begin with ws://");
  const auto slash = url.find('/', scheme.size());
  const auto authority = url.substr(scheme.size(), slash - scheme.size());
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos;
  return {authority.substr(0, colon), has_port ? authority.substr(colon + 1) : "80",
          slash == std::string::npos ? "/v1/stream" : url.substr(slash)};
}

using stream_socket = websocket::stream<asio::ip::tcp::socket>;

void connect(stream_socket& socket, const std::string& url) {
  const auto there = parse_url(url);
  asio::ip::tcp::resolver resolver{socket.get_executor()};
  asio::connect(beast::get_lowest_layer(socket), resolver.resolve(there.host, there.port));
  websocket::permessage_deflate compression;
  compression.client_enable = true;
  socket.set_option(compression);
  socket.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
    request.set(beast::http::field::sec_websocket_protocol, "souffleur.v1");
  }));
  socket.handshake(there.host + ":" + there.port, there.path);
}

/// The server keeps what was said: a turn sends what is new.
class chat_client {
public:
  explicit chat_client(const options& chosen) : options_(chosen), socket_(io_) {
    connect(socket_, options_.url);
  }

  void ask(const std::string& prompt) {
    messages_.push_back(json::object{{"role", "user"}, {"content", prompt}});
    bool answered = appendable_ && say("append", json::array{messages_.back()});
    if (!answered && !say("generate", messages_)) // kept for too long
      throw std::runtime_error("the server refuses: " + refusal_);
    messages_.push_back(json::object{{"role", "assistant"}, {"content", answer_}});
  }

  void close() { socket_.close(websocket::close_code::normal); }

private:
  /// False if the frame is refused.
  bool say(const std::string& type, const json::array& messages) {
    json::object frame{{"type", type},
                       {"id", "chat"},
                       {"messages", messages},
                       {"max_tokens", options_.max_tokens},
                       {"temperature", options_.temperature}};
    if (options_.seed)
      frame["seed"] = *options_.seed;
    socket_.write(asio::buffer(json::serialize(frame)));
    answer_.clear();
    refusal_.clear();
    while (show_next_frame()) {
    }
    return refusal_.empty();
  }

  /// False after the turn's last frame.
  bool show_next_frame() {
    beast::flat_buffer buffer;
    socket_.read(buffer);
    const auto frame = json::parse(beast::buffers_to_string(buffer.data())).as_object();
    const auto& type = frame.at("type").as_string();
    if (type == "delta") {
      const std::string text{frame.at("text").as_string()};
      answer_ += text;
      std::cout << text << std::flush;
    } else if (type == "done") {
      std::cout << "\n";
      appendable_ = frame.at("appendable").as_bool();
      if (options_.verbose)
        std::cerr << json::serialize(frame) << "\n";
      return false;
    } else if (type == "error") {
      refusal_ = frame.at("error").at("message").as_string();
      if (frame.contains("seq"))
        throw std::runtime_error(refusal_);
      return false;
    }
    return true;
  }

  options options_;
  asio::io_context io_;
  stream_socket socket_;
  json::array messages_;
  std::string answer_;
  std::string refusal_; ///< empty: there was none
  bool appendable_ = false;
};

asio::awaitable<void> send_lines(asio::posix::stream_descriptor& lines, stream_socket& socket) {
  std::string waiting;
  boost::system::error_code end;
  while (!end) {
    const auto n = co_await asio::async_read_until(lines, asio::dynamic_buffer(waiting), '\n',
                                                   asio::redirect_error(asio::use_awaitable, end));
    if (n > 1)
      co_await socket.async_write(asio::buffer(waiting.data(), n - 1), asio::use_awaitable);
    waiting.erase(0, n);
  }
  co_await socket.async_close(websocket::close_code::normal, asio::use_awaitable);
}

/// Frames as they are, both ways, one a line: for looking at the protocol. Ends with the input, or the
/// connection.
void pass_frames(const std::string& url) {
  asio::io_context io;
  stream_socket socket{io};
  connect(socket, url);
  asio::posix::stream_descriptor lines{io, ::dup(0)};
  asio::co_spawn(io, send_lines(lines, socket), asio::detached);
  beast::flat_buffer buffer;
  const std::function<void()> read = [&] {
    socket.async_read(buffer, [&](const boost::system::error_code& error, std::size_t) {
      if (error)
        return io.stop();
      std::cout << beast::buffers_to_string(buffer.data()) << std::endl;
      buffer.consume(buffer.size());
      read();
    });
  };
  read();
  io.run();
}

void converse(chat_client& client) {
  std::string prompt;
  while (std::cout << "> " << std::flush, std::getline(std::cin, prompt))
    if (!prompt.empty())
      client.ask(prompt);
  std::cout << "\n";
}

} // namespace

int main(int argc, char** argv) {
  options chosen;
  CLI::App app{"Talks to a Souffleur server over its WebSocket.", "souffleur_chat"};
  app.add_option("prompt", chosen.prompt, "asked once; without it, prompts are read from standard input");
  app.add_option("--url", chosen.url)->capture_default_str();
  app.add_option("--max_tokens", chosen.max_tokens)->capture_default_str();
  app.add_option("--temperature", chosen.temperature)->capture_default_str();
  app.add_option("--seed", chosen.seed, "makes the answer repeatable");
  app.add_flag("--verbose", chosen.verbose, "shows usage and timings");
  app.add_flag("--frames", chosen.frames,
               "sends lines of standard input as frames and prints those that come");
  CLI11_PARSE(app, argc, argv);
  try {
    if (chosen.frames) {
      pass_frames(chosen.url);
      return 0;
    }
    chat_client client{chosen};
    if (chosen.prompt.empty())
      converse(client);
    else
      client.ask(chosen.prompt);
    client.close();
  } catch (const std::exception& error) {
    std::cerr << "souffleur_chat: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
