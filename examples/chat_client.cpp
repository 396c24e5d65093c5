// A terminal client of the WebSocket: streams one answer, or holds a conversation.
//
//   souffleur_chat "Why is the sky blue?"
//   souffleur_chat --url ws://127.0.0.1:8080/v1/stream        reads prompts from standard input

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json.hpp>

#include <CLI/CLI.hpp>

#include <iostream>
#include <optional>
#include <string>

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

class chat_client {
public:
  explicit chat_client(const options& chosen) : options_(chosen), socket_(io_) {
    const auto there = parse_url(options_.url);
    asio::ip::tcp::resolver resolver{io_};
    asio::connect(beast::get_lowest_layer(socket_), resolver.resolve(there.host, there.port));
    socket_.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
      request.set(beast::http::field::sec_websocket_protocol, "souffleur.v1");
    }));
    socket_.handshake(there.host + ":" + there.port, there.path);
  }

  void ask(const std::string& prompt) {
    messages_.push_back(json::object{{"role", "user"}, {"content", prompt}});
    json::object frame{{"type", "generate"},
                       {"id", "turn-" + std::to_string(messages_.size())},
                       {"messages", messages_},
                       {"max_tokens", options_.max_tokens},
                       {"temperature", options_.temperature}};
    if (options_.seed)
      frame["seed"] = *options_.seed;
    socket_.write(asio::buffer(json::serialize(frame)));
    std::string answer;
    while (show_next_frame(answer)) {
    }
    messages_.push_back(json::object{{"role", "assistant"}, {"content", answer}});
  }

  void close() { socket_.close(websocket::close_code::normal); }

private:
  /// False after the stream's last frame.
  bool show_next_frame(std::string& answer) {
    beast::flat_buffer buffer;
    socket_.read(buffer);
    const auto frame = json::parse(beast::buffers_to_string(buffer.data())).as_object();
    const auto& type = frame.at("type").as_string();
    if (type == "delta") {
      const std::string text{frame.at("text").as_string()};
      answer += text;
      std::cout << text << std::flush;
    } else if (type == "done") {
      std::cout << "\n";
      if (options_.verbose)
        std::cerr << json::serialize(frame) << "\n";
      return false;
    } else if (type == "error") {
      throw std::runtime_error(std::string{frame.at("error").at("message").as_string()});
    }
    return true;
  }

  options options_;
  asio::io_context io_;
  websocket::stream<asio::ip::tcp::socket> socket_;
  json::array messages_;
};

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
  CLI11_PARSE(app, argc, argv);
  try {
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
