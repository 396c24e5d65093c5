// A terminal client of the WebSocket: streams one answer, or holds a conversation.
//
//   souffleur_chat "Why is the sky blue?"
//   souffleur_chat --url ws://127.0.0.1:8080/v1/stream        reads prompts from standard input

#include "net/client/stream_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include <CLI/CLI.hpp>

#include <iostream>
#include <optional>
#include <string>

namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using souffleur::client::frame_kind;
using souffleur::client::stream_client;

struct options {
  std::string prompt;
  std::string url = "ws://127.0.0.1:8080/v1/stream";
  int max_tokens = 512;
  double temperature = 0.7;
  std::optional<std::int64_t> seed;
  bool verbose = false;
};

/// Shows the answer to `messages` while it comes, and returns it.
asio::awaitable<std::string> show_answer(stream_client& client, const json::array& messages,
                                         const options& chosen) {
  json::object request{
      {"messages", messages}, {"max_tokens", chosen.max_tokens}, {"temperature", chosen.temperature}};
  if (chosen.seed)
    request["seed"] = *chosen.seed;
  auto stream = client.generate(std::move(request));
  std::string answer;
  while (auto frame = co_await stream.next()) {
    if (frame->kind == frame_kind::error)
      throw std::runtime_error(std::string{frame->error_message()});
    answer += frame->text();
    std::cout << frame->text() << std::flush;
    if (frame->kind == frame_kind::done && chosen.verbose)
      std::cerr << "\n" << json::serialize(frame->body);
  }
  std::cout << "\n";
  co_return answer;
}

/// The next prompt; none at the end.
std::optional<std::string> next_prompt(const options& chosen, bool first) {
  if (!chosen.prompt.empty())
    return first ? std::optional{chosen.prompt} : std::nullopt;
  std::string prompt;
  while (prompt.empty())
    if (!(std::cout << "> " << std::flush && std::getline(std::cin, prompt)))
      return std::nullopt;
  return prompt;
}

asio::awaitable<void> converse(const options& chosen) {
  auto client = co_await stream_client::connect(chosen.url);
  json::array messages;
  while (const auto prompt = next_prompt(chosen, messages.empty())) {
    messages.push_back(json::object{{"role", "user"}, {"content", *prompt}});
    auto answer = co_await show_answer(client, messages, chosen);
    messages.push_back(json::object{{"role", "assistant"}, {"content", std::move(answer)}});
  }
  co_await client.close();
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
  std::exception_ptr failed;
  asio::io_context io{1};
  asio::co_spawn(io, converse(chosen), [&](std::exception_ptr error) { failed = error; });
  io.run();
  try {
    if (failed)
      std::rethrow_exception(failed);
  } catch (const std::exception& error) {
    std::cerr << "souffleur_chat: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
