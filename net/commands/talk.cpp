#include "net/commands/talk.hpp"

#include "net/client/stream_client.hpp"
#include "net/commands/line_reader.hpp"
#include "net/commands/words.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_to.hpp>
#include <boost/system/system_error.hpp>

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <unistd.h>

namespace souffleur {

namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using client::frame_kind;
using client::generation_stream;
using client::stream_client;

struct talk_options {
  std::string url = "ws://127.0.0.1:8080/v1/stream";
  std::string api_key;
  std::string system;
  std::string text; ///< to go on with, or the first message
  int max_tokens = 0;
  std::optional<double> temperature;
  std::optional<std::int64_t> seed;
  bool tells_figures = false;
};

/// What a person hears of how it went.
std::string figures_of(const json::object& done) {
  const auto number = [&](std::string_view object, std::string_view name) {
    const auto* of = done.if_contains(object);
    const auto* value = of != nullptr && of->is_object() ? of->get_object().if_contains(name) : nullptr;
    return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
  };
  const double n_tokens = number("usage", "completion_tokens");
  const double decode_ms = number("timings", "decode_ms");
  char text[160];
  std::snprintf(text, sizeof text, "[%.0f tokens, first after %.0f ms, %.1f tokens/s, %.0f of them drafted]",
                n_tokens, number("timings", "queue_ms") + number("timings", "prefill_ms"),
                decode_ms > 0 ? (n_tokens - 1) * 1000 / decode_ms : 0,
                number("speculation", "accepted_tokens"));
  return text;
}

/// One connection; made anew if the server ended it meanwhile.
class conversation {
public:
  explicit conversation(talk_options options) : options_(std::move(options)) {}

  /// Prints the answer as it comes, and returns it. Ctrl-C ends the answer only.
  asio::awaitable<std::string> answer(json::object request) {
    if (options_.max_tokens > 0)
      request["max_tokens"] = options_.max_tokens;
    if (options_.temperature)
      request["temperature"] = *options_.temperature;
    if (options_.seed)
      request["seed"] = *options_.seed;
    if (!client_ || !client_->is_open()) {
      client::connect_options how; // g++ 12 destroys what is made within a co_await twice
      how.api_key = options_.api_key;
      client_.emplace(co_await stream_client::connect(options_.url, how));
    }
    auto stream = client_->generate(std::move(request));
    asio::signal_set interrupts{co_await asio::this_coro::executor, SIGINT};
    interrupts.async_wait([&stream](const boost::system::error_code& error, int) {
      if (!error)
        stream.cancel();
    });
    co_return co_await print(stream);
  }

private:
  asio::awaitable<std::string> print(generation_stream& stream) const {
    std::string said;
    while (const auto frame = co_await stream.next()) {
      if (frame->kind == frame_kind::error)
        throw std::runtime_error{std::string{frame->error_message()}};
      said += frame->text();
      std::cout << frame->text() << std::flush;
      if (frame->kind == frame_kind::done && options_.tells_figures)
        std::cerr << "\n" << figures_of(frame->body);
    }
    std::cout << std::endl;
    co_return said;
  }

  talk_options options_;
  std::optional<stream_client> client_;
};

json::object message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

json::array beginning(const talk_options& options) {
  json::array messages;
  if (!options.system.empty())
    messages.push_back(message("system", options.system));
  return messages;
}

/// The next message; nothing at the end. Empty lines say nothing.
asio::awaitable<std::optional<std::string>> ask_for_line() {
  for (;;) {
    if (isatty(STDIN_FILENO) != 0)
      std::cerr << "> " << std::flush;
    auto line = co_await read_line();
    if (!line || !line->empty())
      co_return line;
  }
}

asio::awaitable<void> chat(const talk_options& options) {
  conversation with{options};
  auto messages = beginning(options);
  auto said = options.text.empty() ? std::nullopt : std::optional{options.text};
  if (!said && isatty(STDIN_FILENO) != 0)
    std::cerr << "Ctrl-C ends an answer, Ctrl-D the conversation; /new begins another one.\n";
  for (;; said.reset()) {
    if (!said)
      said = co_await ask_for_line();
    if (!said)
      co_return;
    if (*said == "/new") {
      messages = beginning(options);
      continue;
    }
    messages.push_back(message("user", *said));
    json::object request; // g++ 12 takes no braces within a co_await
    request["messages"] = messages;
    const auto answer = co_await with.answer(std::move(request));
    messages.push_back(message("assistant", answer));
    if (!options.text.empty())
      co_return;
  }
}

asio::awaitable<void> complete(const talk_options& options) {
  conversation with{options};
  std::cout << options.text << std::flush;
  json::object request;
  request["prompt"] = options.text;
  co_await with.answer(std::move(request));
}

int run(const char* name, asio::awaitable<void> talk, const std::string& url) {
  asio::io_context io{1};
  int code = 0;
  asio::co_spawn(io, std::move(talk), [&](const std::exception_ptr& failed) {
    try {
      if (failed)
        std::rethrow_exception(failed);
    } catch (const boost::system::system_error& error) {
      std::fprintf(stderr,
                   "souffleur %s: %s: %s\nsouffleur serve starts a server; --url names another one.\n", name,
                   url.c_str(), error.code().message().c_str());
      code = 1;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "souffleur %s: %s\n", name, error.what());
      code = 1;
    }
    io.stop(); // a thread may still wait for a line
  });
  io.run();
  return code;
}

void add_options(CLI::App& app, talk_options& o) {
  app.add_option("--url", o.url, "of the server's WebSocket")->capture_default_str();
  app.add_option("--api-key", o.api_key, "one of the server's keys")->envname("SOUFFLEUR_API_KEY");
  app.add_option("-n,--max-tokens", o.max_tokens, "of an answer; 0: as many as there is room for")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--temperature", o.temperature)->check(CLI::Range(0.0, 2.0));
  app.add_option("--seed", o.seed, "the same one gives the same answer");
  app.add_flag("--figures", o.tells_figures, "tells how long it took");
}

} // namespace

int run_chat(int argc, const char* const* argv) {
  talk_options options;
  CLI::App app{"A conversation with a server.", "souffleur chat"};
  app.add_option("MESSAGE", options.text, "one message, instead of those that are typed");
  app.add_option("--system", options.system, "what the model is told first");
  add_options(app, options);
  if (const auto code = parse_or_leave(app, argc, argv))
    return *code;
  return run("chat", chat(options), options.url);
}

int run_complete(int argc, const char* const* argv) {
  talk_options options;
  options.max_tokens = 128;
  CLI::App app{"Goes on with a text.", "souffleur complete"};
  app.add_option("TEXT", options.text, "-: from standard input")->required();
  add_options(app, options);
  if (const auto code = parse_or_leave(app, argc, argv))
    return *code;
  if (options.text == "-")
    options.text.assign(std::istreambuf_iterator<char>{std::cin}, {});
  return run("complete", complete(options), options.url);
}

} // namespace souffleur
