// The server program: settings, model, actors, sockets, and an orderly end.

#include "actors/serving_system.hpp"
#include "engine/gguf.hpp"
#include "engine/model/footprint.hpp"
#include "engine/model/load_model.hpp"
#include "engine/model/model_folder.hpp"
#include "net/command_line.hpp"
#include "net/server.hpp"
#include "net/startup_memory.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <malloc.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace souffleur;

/// A bar on a terminal; in a log file a line per quarter.
class progress_bar {
public:
  void operator()(double fraction) {
    const int percent = static_cast<int>(fraction * 100);
    if (isatty(STDERR_FILENO) != 0) {
      if (percent != shown_)
        std::fprintf(stderr, "\rloading the model %3d %%%s", percent, percent >= 100 ? "\n" : "");
    } else if (percent / 25 != shown_ / 25) {
      std::fprintf(stderr, "loading the model %3d %%\n", percent);
    }
    shown_ = percent;
  }

private:
  int shown_ = -1;
};

result<std::shared_ptr<const chat_template>> load_chat_template(const gguf_file& file,
                                                                const std::string& choice) {
  if (choice == "chatml")
    return chat_template::chatml();
  const auto* source = file.find_string("tokenizer.chat_template");
  if (source == nullptr) {
    spdlog::warn("the model has no chat template (it may be no chat model); chats use ChatML");
    return chat_template::chatml();
  }
  auto parsed = chat_template::parse(*source);
  if (!parsed)
    return failure{"tokenizer.chat_template: " + parsed.error() +
                   "\n--model.chat_template chatml serves the model with the ChatML format instead."};
  return parsed;
}

/// Changes the number of KV pages in `settings` to what the budget leaves room for.
result<std::vector<memory_part>> fit_memory(const gguf_file& file, kv_type kv, std::size_t program_bytes,
                                            server_settings& settings) {
  const auto footprint = footprint_of(file, kv);
  if (!footprint)
    return failure{footprint.error()};
  auto plan = plan_memory(settings.serving, *footprint, program_bytes, settings.memory_budget_bytes);
  if (!plan)
    return failure{plan.error()};
  if (plan->n_kv_pages < settings.serving.n_kv_pages)
    spdlog::info("memory.budget_mib leaves room for {} of kv.tokens = {}", plan->n_kv_pages * page_tokens,
                 settings.kv_tokens);
  settings.serving.n_kv_pages = plan->n_kv_pages;
  return std::move(plan->parts);
}

result<loaded_model> load(server_settings& settings) {
  release_startup_memory();
  const auto program_bytes = resident_bytes();
  const auto path = find_model_file(settings.model, settings.model_folder);
  if (path.empty())
    return failure{"model.path: \"" + settings.model + "\" is neither a file nor a model in " +
                   settings.model_folder +
                   "; ./serve --model NAME fetches smollm2, gemma3, qwen-0.5b or qwen-1.5b."};
  const auto level = isa_named(settings.kernels);
  if (!level)
    return failure{"model.kernels: this CPU does not have the instructions for " + settings.kernels};
  const auto file = gguf_file::open(path);
  if (!file)
    return failure{file.error()};
  loaded_model loaded;
  const auto vocabulary = tokenizer::from_gguf(**file);
  if (!vocabulary)
    return failure{path + ": " + vocabulary.error()};
  loaded.vocabulary = *vocabulary;
  const auto chat = load_chat_template(**file, settings.chat_template);
  if (!chat)
    return failure{path + ": " + chat.error()};
  loaded.chat = *chat;
  const auto kv = kv_type_named(settings.kv_type).value_or(kv_type::f16);
  auto memory = fit_memory(**file, kv, program_bytes, settings);
  if (!memory)
    return failure{path + ": " + memory.error()};
  loaded.memory = std::move(*memory);
  const model_options options{settings.n_threads, settings.serving.n_kv_pages, kv, *level};
  const auto model = load_model(*file, options, progress_bar{});
  if (!model)
    return failure{path + ": " + model.error()};
  loaded.model = *model;
  return loaded;
}

void print_addresses(const std::string& address, int port, const served_model& model) {
  const bool is_v6 = address.find(':') != std::string::npos;
  const std::string host = address == "0.0.0.0" || address == "::" ? "localhost"
                           : is_v6                                 ? "[" + address + "]"
                                                                   : address;
  const std::string base = host + ":" + std::to_string(port);
  std::printf("\nSouffleur serves %s.\n"
              "  page       http://%s/\n"
              "  OpenAI     http://%s/v1\n"
              "  WebSocket  ws://%s/v1/stream\n\n"
              "Try:\n  curl -N http://%s/v1/chat/completions -H 'Content-Type: application/json' "
              "-d '{\"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"Why is the sky "
              "blue?\"}]}'\n\n"
              "Ctrl-C ends it.\n",
              model.name.c_str(), base.c_str(), base.c_str(), base.c_str(), base.c_str());
  std::fflush(stdout);
}

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

/// A second signal ends the process at once.
void leave_on_next_signal() {
  std::thread([] {
    const auto signals = ending_signals();
    int received = 0;
    sigwait(&signals, &received);
    _exit(128 + received);
  }).detach();
}

int fail(const std::string& why) {
  std::fprintf(stderr, "souffleur: %s\n", why.c_str());
  return 1;
}

int serve(server_settings settings) {
  const auto started = std::chrono::steady_clock::now();
  auto loaded = load(settings);
  if (!loaded)
    return fail(loaded.error());
  std::atomic<bool> gave_up{false};
  auto system = serving_system::start(settings.serving, std::move(*loaded), [&](const std::string& why) {
    spdlog::critical("{}", why);
    gave_up = true;
    kill(getpid(), SIGTERM);
  });
  if (!system)
    return fail(system.error());
  release_startup_memory();
  auto sockets = server::start(settings.server, **system);
  if (!sockets)
    return fail(sockets.error());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  spdlog::info("ready after {:.1f} s", took.count());
  print_addresses(settings.server.address, (*sockets)->port(), (*system)->model());

  const auto signals = ending_signals();
  int received = 0;
  sigwait(&signals, &received);
  leave_on_next_signal();
  spdlog::info("shutting down");
  (*sockets)->stop();
  return gave_up ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
  auto parsed = parse_command_line(argc, argv);
  if (const auto* leave = std::get_if<command_line_exit>(&parsed)) {
    std::fputs(leave->text.c_str(), leave->code == 0 ? stdout : stderr);
    return leave->code;
  }
  const auto& settings = std::get<server_settings>(parsed);
  spdlog::set_default_logger(spdlog::stderr_color_mt("souffleur"));
  spdlog::set_level(spdlog::level::from_str(settings.log_level));
  // A step's buffers of some MiB come from the heap again and again; fresh pages for each would cost as much
  // as the sampling that uses them.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  // Before any thread starts, so that all of them inherit it.
  const auto signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return serve(settings);
}
