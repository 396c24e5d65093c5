#include "net/commands/checkup.hpp"

#include "actors/memory_plan.hpp"
#include "engine/cache/open_store.hpp"
#include "engine/chat_template.hpp"
#include "engine/cuda/cuda_backend.hpp"
#include "engine/gguf.hpp"
#include "engine/kernels/isa.hpp"
#include "engine/model/footprint.hpp"
#include "engine/model/model_folder.hpp"
#include "engine/process_memory.hpp"
#include "engine/tokenizer.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace souffleur {

namespace {

constexpr double gib = 1 << 30;

std::string in_gib(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / gib);
  return text;
}

std::size_t available_bytes() {
  std::ifstream file{"/proc/meminfo"};
  for (std::string name, unit; file >> name;) {
    std::size_t kib = 0;
    file >> kib;
    std::getline(file, unit);
    if (name == "MemAvailable:")
      return kib << 10;
  }
  return 0;
}

std::size_t cgroup_limit_bytes() {
  std::ifstream file{"/sys/fs/cgroup/memory.max"};
  std::size_t bytes = 0;
  return file >> bytes ? bytes : 0; // "max": none
}

result<model_footprint> footprint_of_served(const server_settings& settings) {
  const auto path = find_model_file(settings.model, settings.model_folder);
  if (path.empty())
    return failure{"there is no model"};
  const auto file = gguf_file::open(path);
  if (!file)
    return failure{file.error()};
  return footprint_of(**file, kv_type_named(settings.kv_type).value_or(kv_type::f16));
}

bool can_read(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

} // namespace

machine_facts read_machine() {
  machine_facts facts;
  for (const auto level : available_isas())
    facts.instruction_sets.emplace_back(to_string(level));
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
    facts.n_cpus = CPU_COUNT(&cpus);
  if (double loads[1]; getloadavg(loads, 1) == 1)
    facts.load = loads[0];
  facts.free_bytes = available_bytes();
  facts.cgroup_bytes = cgroup_limit_bytes();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    facts.max_descriptors = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 30));
  return facts;
}

finding check_cpu(const machine_facts& machine, const server_settings& settings) {
  const auto& widest = machine.instruction_sets.back();
  finding found{"CPU", health::fine,
                std::to_string(machine.n_cpus) + (machine.n_cpus == 1 ? " CPU" : " CPUs") + ", kernels for " +
                    widest,
                ""};
  if (widest == "portable") {
    found.state = health::poor;
    found.to_do = "Without AVX2 a model answers many times more slowly: choose a small one, such as smollm2.";
  } else if (settings.kernels != "auto" && settings.kernels != widest) {
    found.state = health::poor;
    found.seen += "; model.kernels asks for " + settings.kernels;
    found.to_do = "model.kernels = auto takes the fastest.";
  } else if (settings.n_threads > machine.n_cpus) {
    found.state = health::poor;
    found.seen += "; model.threads asks for " + std::to_string(settings.n_threads);
    found.to_do = "More threads than CPUs wait for each other: model.threads = 0 takes one for each.";
  }
  return found;
}

finding check_device(const server_settings& settings) {
  finding found{"device", health::fine, to_string(settings.device), ""};
  if (settings.device.is_cpu())
    return found;
  const auto device = cuda::make_cuda_backend({settings.device.cuda});
  found.seen = device ? found.seen + ": " + (*device)->name() : device.error();
  if (!device) {
    found.state = health::bad;
    found.to_do = "model.device = cpu computes on the CPU.";
  } else if (settings.kv_type != "f16") {
    found.state = health::bad;
    found.to_do = "It keeps keys and values as f16: kv.type = f16.";
  }
  return found;
}

finding check_load(const machine_facts& machine) {
  char seen[64];
  std::snprintf(seen, sizeof seen, "%.1f processes want a CPU", machine.load);
  const bool is_busy = machine.load > 0.5 * machine.n_cpus;
  return {"load", is_busy ? health::poor : health::fine, seen,
          is_busy ? "Others take the time that answers need: see `top`." : ""};
}

finding check_model(const server_settings& settings) {
  const auto path = find_model_file(settings.model, settings.model_folder);
  if (path.empty())
    return {
        "model", health::bad, "\"" + settings.model + "\" is neither a file nor in " + settings.model_folder,
        "conf/get_model.py fetches smollm2, gemma3, qwen-0.5b or qwen-1.5b; --model takes any GGUF file."};
  const auto file = gguf_file::open(path);
  const std::string other = "Another file, or another kind of model, has to be chosen: see the README.";
  if (!file)
    return {"model", health::bad, file.error(), "The file may be cut: fetch it again."};
  if (const auto vocabulary = tokenizer::from_gguf(**file); !vocabulary)
    return {"model", health::bad, path + ": " + vocabulary.error(), other};
  if (const auto footprint = footprint_of(**file, kv_type::f16); !footprint)
    return {"model", health::bad, path + ": " + footprint.error(), other};
  const auto* source = (*file)->find_string("tokenizer.chat_template");
  if (settings.chat_template == "chatml" || source == nullptr)
    return {"model", health::fine, path + ", chats in the ChatML format", ""};
  if (const auto parsed = chat_template::parse(*source); !parsed)
    return {"model", health::bad, path + ": tokenizer.chat_template: " + parsed.error(),
            "model.chat_template = chatml serves it with the ChatML format."};
  return {"model", health::fine, path, ""};
}

finding check_memory(const machine_facts& machine, const server_settings& settings) {
  auto free_bytes = machine.free_bytes;
  if (machine.cgroup_bytes > 0)
    free_bytes = std::min(free_bytes, machine.cgroup_bytes);
  finding found{"memory", health::fine, in_gib(free_bytes) + " free", ""};
  const auto footprint = footprint_of_served(settings);
  if (!footprint)
    return found;
  const auto plan =
      plan_memory(settings.serving, *footprint, resident_bytes(), settings.memory_budget_bytes, {});
  if (!plan) {
    found.state = health::bad;
    found.seen += "; " + plan.error();
    found.to_do = "A larger memory.budget_mib, or a smaller model.";
    return found;
  }
  found.seen += ", " + in_gib(plan->total_bytes()) + " needed at most, " + in_gib(footprint->weights_bytes) +
                " of it for weights";
  if (footprint->weights_bytes > free_bytes) {
    found.state = health::bad;
    found.to_do = "A smaller model.";
  } else if (plan->total_bytes() > free_bytes) {
    found.state = health::poor;
    found.to_do = "memory.budget_mib = " + std::to_string(free_bytes * 9 / 10 >> 20) +
                  " keeps it within what is free: fewer prefixes are remembered then.";
  }
  return found;
}

finding check_embedder(const server_settings& settings) {
  if (settings.embedding_model == "off")
    return {"embedder", health::fine, "off", ""};
  const bool is_auto = settings.embedding_model == "auto";
  const auto folder =
      find_embedding_folder(is_auto ? "minilm" : settings.embedding_model, settings.model_folder);
  const bool wants_meaning =
      settings.serving.cache_policy != "off" && settings.serving.cache_policy != "exact";
  if (!folder.empty())
    return {"embedder", health::fine, folder, ""};
  const std::string fetch = "conf/get_model.py minilm fetches one.";
  if (!is_auto)
    return {"embedder", health::bad, "\"" + settings.embedding_model + "\" is not there", fetch};
  if (wants_meaning)
    return {"embedder", health::poor,
            "none, so cache.policy = " + settings.serving.cache_policy + " finds exact repeats only", fetch};
  return {"embedder", health::fine, "none: /v1/embeddings answers 404", ""};
}

finding check_store(const server_settings& settings) {
  if (settings.serving.cache_policy == "off" || settings.store.where == "memory")
    return {"store", health::fine, "answers are kept in memory only, or not at all", ""};
  const auto opened = open_store(settings.store);
  if (!opened)
    return {"store", health::bad, opened.error(), "cache.store = memory does without."};
  auto& store = **opened;
  const auto asked = store.get(key_digest{}, 0);
  if (!asked)
    return {"store", health::poor, asked.error(),
            "Requests are answered all the same, and it is tried again; cache.store = memory does without."};
  return {"store", health::fine,
          std::string{store.name()} + " answers" + (store.searches() ? ", and searches by itself" : ""), ""};
}

finding check_address(const server_settings& settings) {
  const auto& [address, port] = std::tie(settings.server.address, settings.server.port);
  if (address.starts_with("unix:"))
    return {"address", health::fine, address, ""};
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(address, error);
  if (error)
    return {"address", health::bad, "\"" + address + "\" is no IP address",
            "127.0.0.1 serves this machine, 0.0.0.0 others, too."};
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor acceptor{io};
  const boost::asio::ip::tcp::endpoint endpoint{ip, port};
  const auto shown = address + ":" + std::to_string(port);
  acceptor.open(endpoint.protocol(), error);
  acceptor.set_option(boost::asio::socket_base::reuse_address(true), error);
  if (acceptor.bind(endpoint, error); error)
    return {"address", health::bad, shown + ": " + error.message(),
            "--port takes another one; 0 any that is free."};
  if (!ip.is_loopback() && settings.api_keys == "none")
    return {"address", health::poor, shown + ", for everybody who can reach this machine",
            "server.api_keys lets only those in who have a key."};
  return {"address", health::fine, shown, ""};
}

finding check_descriptors(const machine_facts& machine, const server_settings& settings) {
  constexpr int others = 64; // files, actors' timers, stores
  const int wanted = settings.server.max_connections + others;
  finding found{"descriptors", health::fine, std::to_string(machine.max_descriptors) + " open files allowed",
                ""};
  if (machine.max_descriptors < wanted) {
    found.state = health::poor;
    found.to_do = "ulimit -n " + std::to_string(wanted) +
                  ", for server.max_connections = " + std::to_string(settings.server.max_connections) + ".";
  }
  return found;
}

std::vector<finding> check_files(const server_settings& settings) {
  std::vector<finding> found;
  const auto look = [&](const std::string& option, const std::string& path) {
    if (path != "none" && !can_read(path))
      found.push_back({option, health::bad, path + " cannot be read", ""});
  };
  if (settings.api_keys != "none")
    if (const auto keys = api_keys::read(settings.api_keys); !keys)
      found.push_back({"server.api_keys", health::bad, keys.error(), ""});
  look("server.tls_certificate", settings.tls_certificate);
  look("server.tls_key", settings.tls_key);
  look("cache.calibration", settings.cache_calibration);
  if (const auto& folder = settings.serving.tier_folder; folder != "off") {
    auto existing = std::filesystem::path{folder};
    while (!existing.empty() && !std::filesystem::exists(existing))
      existing =
          existing.has_parent_path() && existing.parent_path() != existing ? existing.parent_path() : ".";
    if (!std::filesystem::is_directory(existing) || access(existing.c_str(), W_OK) != 0)
      found.push_back({"kv.tier_folder", health::bad, folder + " cannot be written", ""});
  }
  return found;
}

} // namespace souffleur
