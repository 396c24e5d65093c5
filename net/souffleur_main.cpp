// The server program: settings, model, actors, sockets, and an orderly end.

#include "actors/serving_system.hpp"
#include "engine/cache/calibration_file.hpp"
#include "engine/cache/open_store.hpp"
#include "engine/drafting/shared_vocabulary.hpp"
#include "engine/embedding/text_embedder.hpp"
#include "engine/gguf.hpp"
#include "engine/model/footprint.hpp"
#include "engine/model/load_model.hpp"
#include "engine/model/model_folder.hpp"
#include "engine/process_memory.hpp"
#include "net/cache_tools.hpp"
#include "net/command_line.hpp"
#include "net/server.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <malloc.h>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace souffleur;

using command_line_words = std::vector<const char*>;

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

struct model_file {
  std::string path;
  std::shared_ptr<const gguf_file> file;
  std::shared_ptr<const tokenizer> vocabulary;
  model_footprint footprint;
};

/// `option` is the one that named it.
result<model_file> open_model(const std::string& name, const std::string& option, kv_type kv,
                              const server_settings& settings) {
  model_file opened;
  opened.path = find_model_file(name, settings.model_folder);
  if (opened.path.empty())
    return failure{option + ": \"" + name + "\" is neither a file nor a model in " + settings.model_folder +
                   "; ./serve --model NAME fetches smollm2, gemma3, qwen-0.5b or qwen-1.5b."};
  const auto file = gguf_file::open(opened.path);
  if (!file)
    return failure{file.error()};
  opened.file = *file;
  const auto vocabulary = tokenizer::from_gguf(**file);
  if (!vocabulary)
    return failure{opened.path + ": " + vocabulary.error()};
  opened.vocabulary = *vocabulary;
  const auto footprint = footprint_of(**file, kv);
  if (!footprint)
    return failure{opened.path + ": " + footprint.error()};
  opened.footprint = *footprint;
  return opened;
}

struct embedding_model {
  std::string name;
  embedder_files files;
};

/// Nothing if there is to be none.
result<std::optional<embedding_model>> open_embedding_model(const server_settings& settings) {
  const auto& wanted = settings.embedding_model;
  if (wanted == "off")
    return std::optional<embedding_model>{};
  const bool is_auto = wanted == "auto";
  const auto folder = find_embedding_folder(is_auto ? "minilm" : wanted, settings.model_folder);
  if (folder.empty() && is_auto)
    return std::optional<embedding_model>{};
  if (folder.empty())
    return failure{"embedding.model: \"" + wanted +
                   "\" is neither a folder with a model.safetensors nor one in " + settings.model_folder +
                   "; ./serve --embedding.model minilm fetches minilm."};
  auto files = open_embedder(folder);
  if (!files)
    return failure{"embedding.model: " + files.error()};
  return std::optional{embedding_model{std::filesystem::path{folder}.filename().string(), std::move(*files)}};
}

/// Changes the number of KV pages in `settings` to what the budget leaves room for.
result<std::vector<memory_part>> fit_memory(const model_footprint& footprint, std::size_t program_bytes,
                                            std::span<const memory_part> others, server_settings& settings) {
  auto plan = plan_memory(settings.serving, footprint, program_bytes, settings.memory_budget_bytes, others);
  if (!plan)
    return failure{plan.error()};
  if (plan->n_kv_pages < settings.serving.n_kv_pages)
    spdlog::info("memory.budget_mib leaves room for {} of kv.tokens = {}", plan->n_kv_pages * page_tokens,
                 settings.kv_tokens);
  settings.serving.n_kv_pages = plan->n_kv_pages;
  return std::move(plan->parts);
}

result<std::shared_ptr<language_model>> load_weights(const model_file& from, const model_options& options) {
  auto model = load_model(from.file, options, progress_bar{});
  return model ? model : failure{from.path + ": " + model.error()};
}

/// How many ids of the draft model mean the same to the target.
result<int> common_vocabulary(const model_file& target, const model_file& draft) {
  const auto n_shared = shared_vocabulary(*target.vocabulary, *draft.vocabulary);
  return n_shared ? n_shared
                  : failure{"speculation.draft_model: " + draft.path + " cannot draft for " + target.path +
                            ": " + n_shared.error()};
}

/// `embedder`: with which the server compares; null: it has none.
result<cache_calibration> read_calibration(const std::string& path, const text_embedder* embedder) {
  const auto read = calibration_file::read(path);
  if (!read)
    return failure{read.error()};
  if (embedder == nullptr || read->embedder != embedder->fingerprint())
    return failure{path + " was made with another embedding model than this server's"};
  return read->calibration;
}

/// Null: answers are cached in memory only, or not at all.
result<std::shared_ptr<answer_store>> open_answers(const server_settings& settings,
                                                   const loaded_model& loaded) {
  if (settings.serving.cache_policy == "off")
    return std::shared_ptr<answer_store>{};
  auto options = settings.store;
  if (loaded.embedder) {
    options.embedder = loaded.embedder->fingerprint();
    options.n_dimensions = static_cast<std::size_t>(loaded.embedder->n_dimensions());
  }
  return open_store(options);
}

result<loaded_model> load(server_settings& settings) {
  give_back_unused_memory();
  const auto program_bytes = resident_bytes();
  const auto level = isa_named(settings.kernels);
  if (!level)
    return failure{"model.kernels: this CPU does not have the instructions for " + settings.kernels};
  const auto kv = kv_type_named(settings.kv_type).value_or(kv_type::f16);
  const auto target = open_model(settings.model, "model.path", kv, settings);
  if (!target)
    return failure{target.error()};
  loaded_model loaded;
  loaded.vocabulary = target->vocabulary;
  const auto chat = load_chat_template(*target->file, settings.chat_template);
  if (!chat)
    return failure{target->path + ": " + chat.error()};
  loaded.chat = *chat;

  std::optional<model_file> draft;
  std::vector<memory_part> others;
  if (settings.draft_model != "off") {
    auto opened = open_model(settings.draft_model, "speculation.draft_model", kv, settings);
    if (!opened)
      return failure{opened.error()};
    const auto n_shared = common_vocabulary(*target, *opened);
    if (!n_shared)
      return failure{n_shared.error()};
    const auto ends = opened->vocabulary->end_tokens();
    loaded.draft_model = {nullptr, *n_shared, {ends.begin(), ends.end()}};
    others.push_back(draft_model_part(settings.serving, opened->footprint));
    draft = std::move(*opened);
  }
  const auto embedding = open_embedding_model(settings);
  if (!embedding)
    return failure{embedding.error()};
  if (*embedding)
    others.push_back(embedder_part(settings.serving, (*embedding)->files));
  const int n_draft_pages = n_draft_model_pages(settings.serving);
  auto memory = fit_memory(target->footprint, program_bytes, others, settings);
  if (!memory)
    return failure{target->path + ": " + memory.error()};
  loaded.memory = std::move(*memory);
  model_options options{settings.n_threads, settings.serving.n_kv_pages, kv, *level};
  const auto model = load_weights(*target, options);
  if (!model)
    return failure{model.error()};
  loaded.model = *model;
  if (draft) {
    options.n_kv_pages = n_draft_pages;
    const auto drafting = load_weights(*draft, options);
    if (!drafting)
      return failure{drafting.error()};
    loaded.draft_model.model = *drafting;
  }
  if (*embedding) {
    auto embedder = load_embedder((*embedding)->files, {settings.n_embedding_threads, *level});
    if (!embedder)
      return failure{"embedding.model: " + embedder.error()};
    loaded.embedder = std::move(*embedder);
    settings.serving.embedder_name = (*embedding)->name;
  }
  if (settings.cache_calibration != "none") {
    const auto calibration = read_calibration(settings.cache_calibration, loaded.embedder.get());
    if (!calibration)
      return failure{"cache.calibration: " + calibration.error()};
    loaded.calibration = *calibration;
  }
  auto answers = open_answers(settings, loaded);
  if (!answers)
    return failure{"cache.store: " + answers.error()};
  loaded.store = std::move(*answers);
  return loaded;
}

void print_addresses(const server_options& options, int port, const served_model& model) {
  const auto& address = options.address;
  if (port == 0) {
    std::printf("\nSouffleur serves %s on %s.\n\nTry:\n  curl --unix-socket %s http://localhost/v1/models\n\n"
                "Ctrl-C ends it.\n",
                model.name.c_str(), address.c_str(), address.substr(address.find(':') + 1).c_str());
    std::fflush(stdout);
    return;
  }
  const char* tls = options.tls_certificate.empty() ? "" : "s";
  const bool is_v6 = address.find(':') != std::string::npos;
  const std::string host = address == "0.0.0.0" || address == "::" ? "localhost"
                           : is_v6                                 ? "[" + address + "]"
                                                                   : address;
  const std::string base = host + ":" + std::to_string(port);
  std::printf("\nSouffleur serves %s.\n"
              "  page       http%s://%s/\n"
              "  OpenAI     http%s://%s/v1\n"
              "  WebSocket  ws%s://%s/v1/stream\n\n"
              "Try:\n  curl -N http%s://%s/v1/chat/completions -H 'Content-Type: application/json' "
              "-d '{\"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"Why is the sky "
              "blue?\"}]}'\n\n"
              "Ctrl-C ends it.\n",
              model.name.c_str(), tls, base.c_str(), tls, base.c_str(), tls, base.c_str(), tls, base.c_str());
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

/// Waits for what runs, for so long at most.
void drain(serving_system& system, std::chrono::seconds longest) {
  system.drain();
  const auto until = std::chrono::steady_clock::now() + longest;
  spdlog::info("no new requests; waiting for {} that run, {} s at most", system.in_flight(), longest.count());
  while (system.in_flight() > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
}

int fail(const std::string& why) {
  std::fprintf(stderr, "souffleur: %s\n", why.c_str());
  return 1;
}

result<server_access> read_access(const server_settings& settings) {
  auto access = settings.server.access;
  if (settings.api_keys == "none")
    return access;
  auto keys = api_keys::read(settings.api_keys);
  if (!keys)
    return failure{"server.api_keys: " + keys.error()};
  access.keys = std::make_shared<const api_keys>(std::move(*keys));
  return access;
}

/// What can change while the server runs: keys, limits, log level. What is wrong changes nothing.
void reload(const command_line_words& words, server& sockets) {
  auto parsed = parse_command_line(static_cast<int>(words.size()), words.data());
  const auto* settings = std::get_if<server_settings>(&parsed);
  const auto access =
      settings != nullptr ? read_access(*settings) : failure{std::get<command_line_exit>(parsed).text};
  if (!access) {
    spdlog::error("not reloaded: {}", access.error());
    return;
  }
  spdlog::set_level(spdlog::level::from_str(settings->log_level));
  sockets.change_access(*access);
  spdlog::info("reloaded the API keys, the limits and the log level; other options change with a restart");
}

int serve(server_settings settings, const command_line_words& words) {
  const auto started = std::chrono::steady_clock::now();
  const auto access = read_access(settings);
  if (!access)
    return fail(access.error());
  settings.server.access = *access;
  if (settings.tls_certificate != "none")
    settings.server.tls_certificate = settings.tls_certificate;
  if (settings.tls_key != "none")
    settings.server.tls_key = settings.tls_key;
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
  give_back_unused_memory();
  auto sockets = server::start(settings.server, **system, &**system);
  if (!sockets)
    return fail(sockets.error());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  spdlog::info("ready after {:.1f} s", took.count());
  print_addresses(settings.server, (*sockets)->port(), (*system)->model());

  auto signals = ending_signals();
  sigaddset(&signals, SIGHUP);
  int received = SIGHUP;
  for (sigwait(&signals, &received); received == SIGHUP; sigwait(&signals, &received))
    reload(words, **sockets);
  leave_on_next_signal();
  if (received == SIGTERM && !gave_up)
    drain(**system, std::chrono::seconds{settings.drain_s});
  spdlog::info("shutting down");
  (*sockets)->stop();
  return gave_up ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view{argv[1]} == "cache")
    return run_cache_tools(argc - 1, argv + 1, std::cin, std::cout, std::cerr);
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
  auto signals = ending_signals();
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return serve(settings, command_line_words(argv, argv + argc));
}
