#include "net/commands/serve.hpp"

#include "actors/cluster/drafter_link.hpp"
#include "actors/cluster/drafter_node.hpp"
#include "actors/cluster/router_node.hpp"
#include "actors/cluster/worker_node.hpp"
#include "engine/process_memory.hpp"
#include "net/command_line.hpp"
#include "net/commands/served_model.hpp"
#include "net/commands/words.hpp"
#include "net/logging.hpp"
#include "net/server.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <malloc.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace souffleur {

namespace {

bool is_any(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

using command_line_words = std::vector<const char*>;

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
  const std::string host = is_any(address) ? "localhost" : is_v6 ? "[" + address + "]" : address;
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

constexpr std::chrono::milliseconds drain_resolution{20};

/// Waits for what runs, for so long at most. A worker's streams that are left then go on elsewhere.
void drain(serving_system& system, worker_node* worker, std::chrono::seconds longest) {
  system.drain();
  if (worker != nullptr)
    worker->drain();
  const auto n_running = [&] { return system.in_flight() + (worker != nullptr ? worker->n_streams() : 0); };
  const auto until = std::chrono::steady_clock::now() + longest;
  spdlog::info("no new requests; waiting for {} that run, {} s at most", n_running(), longest.count());
  while (n_running() > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(drain_resolution);
}

/// What is left goes on elsewhere; the router is told before the connection breaks.
void leave(worker_node& worker) {
  worker.hand_over();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  while (worker.n_streams() > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(drain_resolution);
  std::this_thread::sleep_for(5 * drain_resolution);
}

/// The first line of the file or the variable; empty: there is none.
result<std::string> read_secret(const std::string& file) {
  const char* variable = std::getenv("SOUFFLEUR_CLUSTER_SECRET");
  if (file == "none")
    return std::string{variable != nullptr ? variable : ""};
  std::ifstream in{file};
  std::string secret;
  if (!std::getline(in, secret) || secret.empty())
    return failure{"cluster.secret_file: there is no secret in " + file};
  return secret;
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

/// Empty if these settings make a cluster that nobody can join by accident.
std::string cluster_complaint(const cluster_config& config) {
  const bool has_key = config.key != "none";
  const bool has_authority = config.authority != "none";
  if (config.has_tls() != has_key || config.has_tls() != has_authority)
    return "cluster.tls_certificate, cluster.tls_key and cluster.tls_authority go together";
  if ((config.role == "router" || config.role == "drafter") && !is_loopback(config.address) &&
      config.secret.empty())
    return "cluster.address: on " + config.address +
           " anybody could join; a secret (cluster.secret_file) is needed there";
  return "";
}

worker_profile profile_of(const server_settings& settings, const language_model& model, int port) {
  worker_profile profile;
  profile.model_name = settings.serving.model_name;
  profile.computes = model.page_format();
  profile.fingerprint = model.fingerprint();
  profile.n_kv_tokens = settings.serving.n_kv_pages * page_tokens;
  profile.max_running = settings.serving.max_running;
  profile.serves = settings.cluster.serves;
  profile.address = settings.server.address;
  if (port > 0)
    profile.address.append(":").append(std::to_string(port));
  return profile;
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

void log_death(const std::string& part, const std::string& why, std::chrono::milliseconds pause,
               bool is_left_out) {
  if (is_left_out)
    spdlog::error("{} died too often, last with: {}; the server goes on without it for {} s", part, why,
                  std::chrono::duration_cast<std::chrono::seconds>(pause).count());
  else
    spdlog::warn("{} died with: {}; it is started again after {} ms", part, why, pause.count());
}

/// Until it is told to end.
int draft(server_settings& settings) {
  auto loaded = load_drafter(settings);
  if (!loaded)
    return fail(loaded.error());
  if (!make_eviction_policy(loaded->eviction))
    return fail("kv.eviction: unknown policy \"" + loaded->eviction + "\"");
  const auto name = loaded->model_name;
  const auto node = drafter_node::start(settings.cluster, std::move(*loaded));
  if (!node)
    return fail(node.error());
  give_back_unused_memory();
  const auto& address = settings.cluster.address;
  std::printf("\nSouffleur drafts with %s on %s:%d.\n\nA server uses it with\n  "
              "--speculation.drafter_address %s:%d\n\nCtrl-C ends it.\n",
              name.c_str(), address.c_str(), (*node)->port(), is_any(address) ? "THIS_HOST" : address.c_str(),
              (*node)->port());
  std::fflush(stdout);
  const auto signals = ending_signals();
  int received = 0;
  sigwait(&signals, &received);
  leave_on_next_signal();
  spdlog::info("shutting down");
  return 0;
}

void log_trouble(const std::string& what, const std::string& why) {
  if (why.empty())
    spdlog::info("{} works again", what);
  else
    spdlog::warn("{} fails, the server goes on without it: {}", what, why);
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
  auto secret = read_secret(settings.cluster_secret_file);
  if (!secret)
    return fail(secret.error());
  settings.cluster.secret = std::move(*secret);
  if (const auto why = cluster_complaint(settings.cluster); !why.empty())
    return fail(why);
  if (settings.cluster.role == "drafter")
    return draft(settings);
  settings.serving.exchanges_pages = settings.cluster.role == "worker";
  auto loaded = load_served_model(settings);
  if (!loaded)
    return fail(loaded.error());
  const auto model = loaded->model;
  std::atomic<bool> gave_up{false};
  const auto on_give_up = [&](const std::string& why) {
    spdlog::critical("{}", why);
    gave_up = true;
    kill(getpid(), SIGTERM);
  };
  std::shared_ptr<drafter_link> drafter; // outlives the system
  if (settings.drafter_address != "none" && model)
    loaded->remote_drafter = drafter =
        drafter_link::start(settings.cluster, settings.drafter_address, settings.serving.model_name,
                            loaded->vocabulary, settings.serving.acceptance_policy == "gumbel");
  std::shared_ptr<router_node> workers; // outlives the system
  if (settings.cluster.role == "router") {
    auto node = router_node::start(settings.cluster,
                                   {loaded->outline.fingerprint, settings.serving.n_kv_pages * page_tokens});
    if (!node)
      return fail(node.error());
    workers = *node;
    spdlog::info("waiting for workers on {}:{}", settings.cluster.address, workers->port());
  }
  auto system = workers ? serving_system::start_router(settings.serving, settings.cluster, std::move(*loaded),
                                                       workers, on_give_up, log_death, log_trouble)
                        : serving_system::start(settings.serving, std::move(*loaded), on_give_up, log_death,
                                                log_trouble);
  if (!system)
    return fail(system.error());
  give_back_unused_memory();
  auto sockets = server::start(settings.server, **system, &**system, &**system,
                               settings.server.kills ? &**system : nullptr);
  if (!sockets)
    return fail(sockets.error());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  spdlog::info("ready after {:.1f} s", took.count());
  std::unique_ptr<worker_node> worker;
  if (settings.cluster.role == "worker")
    worker = worker_node::start(settings.cluster, profile_of(settings, *model, (*sockets)->port()), **system);
  print_addresses(settings.server, (*sockets)->port(), (*system)->model());

  auto signals = ending_signals();
  sigaddset(&signals, SIGHUP);
  int received = SIGHUP;
  for (sigwait(&signals, &received); received == SIGHUP; sigwait(&signals, &received))
    reload(words, **sockets);
  leave_on_next_signal();
  if (received == SIGTERM && !gave_up)
    drain(**system, worker.get(), std::chrono::seconds{settings.drain_s});
  spdlog::info("shutting down");
  if (worker)
    leave(*worker);
  worker.reset();
  (*sockets)->stop();
  return gave_up ? 1 : 0;
}

} // namespace

int run_serve(int argc, const char* const* argv) {
  const auto read = settings_or_leave(argc, argv);
  if (const auto* code = std::get_if<int>(&read))
    return *code;
  const auto& settings = std::get<server_settings>(read);
  set_up_logging(settings.log_format, settings.log_level);
  // A step's buffers of some MiB come from the heap again and again; fresh pages for each would cost as much
  // as the sampling that uses them.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  // Before any thread starts, so that all of them inherit it.
  auto signals = ending_signals();
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN); // a file at its limit (ulimit -f) is a write that fails, not the end
  return serve(settings, command_line_words(argv, argv + argc));
}

} // namespace souffleur
