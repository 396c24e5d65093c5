// souffleur-cluster-simulator: 1 to 10,000 workers under load, in simulated time.
#include "examples/cluster_simulator/report.hpp"
#include "policies/scheduling_policy.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <fstream>
#include <iostream>

namespace {

using namespace souffleur;
using namespace souffleur::cluster_simulation;

struct options {
  std::vector<int> workers = {1, 4, 16, 64};
  std::vector<std::string> policies = {"round_robin", "least_loaded", "cache_aware", "consistent_hash",
                                       "sticky"};
  std::vector<int> stream_costs = {routing_options{}.stream_cost_tokens};
  std::string workload_name = "multi_turn";
  load::workload_options workload;
  int n_shared_per_worker = 2;
  double rate = 1;
  int n_clients = 0;
  double burstiness = 1;
  int n_requests = 100;
  bool together = false;
  std::string costs_file;
  std::string json;
  bool each_request = false;
  std::string html;
  bool quiet = false;
  cluster_settings cluster;
  offered_load load;
  std::string command;
};

void add_options(CLI::App& app, options& o) {
  app.add_option("--workers", o.workers, "numbers of workers, one simulation each")
      ->delimiter(',')
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--policies", o.policies, "routing policies: " + std::string{routing_policy_names})
      ->delimiter(',')
      ->check([](const std::string& name) {
        return make_routing_policy(name) ? std::string{} : "unknown routing policy \"" + name + "\"";
      });
  app.add_option("--stream-cost-tokens", o.stream_costs,
                 "what a stream counts in routing, in prompt tokens; a list tries each")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--load-factor", o.cluster.routing.load_factor,
                 "consistent_hash: bound on a worker's streams, by the mean")
      ->capture_default_str();
  std::string workloads;
  for (const auto& known : load::workload_names())
    workloads += std::string{workloads.empty() ? "" : ", "} + known.name;
  app.add_option("--workload", o.workload_name, workloads)->capture_default_str();
  app.add_option("--seed", o.workload.seed, "of texts and arrivals")->capture_default_str();
  app.add_option("--prompt-words", o.workload.prompt_words, "of system prompts, documents, random prompts")
      ->capture_default_str();
  app.add_option("--shared", o.n_shared_per_worker, "system prompts or documents, for each worker")
      ->capture_default_str();
  app.add_option("--turns", o.workload.n_turns, "multi_turn")->capture_default_str();
  app.add_option("--think-s", o.workload.think_s, "mean pause before a next turn")->capture_default_str();
  app.add_option("--prompts", o.workload.prompts, "chat: JSON lines with \"turns\"");
  app.add_option("--rate", o.rate, "dialogues a second, for each worker")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--burstiness", o.burstiness, "shape of the Gamma law of gaps; 1: Poisson, below 1: bursts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--clients", o.n_clients, "for each worker: a closed loop instead of --rate");
  app.add_option("--requests", o.n_requests, "for each worker")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--together", o.together,
               "--rate, --clients, --requests and --shared are of all workers together");
  app.add_option("--max-tokens", o.load.n_output_tokens, "of each answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--equal-answers", o.cluster.equal_answers,
               "the same words get the same answer, as at temperature 0");
  app.add_option("--costs", o.costs_file, "what steps take: a file that validate.py writes")
      ->check(CLI::ExistingFile);
  app.add_option("--chance-seed", o.cluster.chance_seed, "of how long steps take, where costs have a spread")
      ->capture_default_str();
  app.add_option("--bytes-per-token", o.cluster.measure.bytes_a_token, "of texts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--default-system-tokens", o.cluster.measure.default_system_tokens,
                 "of a prompt without a system message")
      ->capture_default_str();
  app.add_option("--network-us", o.cluster.client_network_us, "one way, to and from clients")
      ->capture_default_str();
  app.add_option("--worker-network-us", o.cluster.worker_network_us, "one way, between router and workers")
      ->capture_default_str();
  app.add_option("--scheduling-policy", o.cluster.worker.scheduling_policy, "of a worker")
      ->check([](const std::string& name) {
        return make_scheduling_policy(name) ? std::string{} : "unknown scheduling policy \"" + name + "\"";
      })
      ->capture_default_str();
  app.add_option("--kv-pages", o.cluster.worker.n_kv_pages, "of a worker")->capture_default_str();
  app.add_option("--max-running", o.cluster.worker.max_running, "of a worker")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("!--no-prefix-cache", o.cluster.worker.prefix_cache, "workers remember nothing");
  app.add_option("--json", o.json, "file for all figures");
  app.add_flag("--each-request", o.each_request, "in --json, what became of each");
  app.add_option("--html", o.html, "file for a page of charts");
  app.add_flag("--quiet", o.quiet, "no progress");
}

std::optional<cluster_figures> run(const options& o, int n_workers, const std::string& policy,
                                   int stream_cost) {
  auto settings = o.cluster;
  settings.n_workers = n_workers;
  settings.routing_policy = policy;
  settings.routing.stream_cost_tokens = stream_cost;
  const int n_times = o.together ? 1 : n_workers;
  auto texts = o.workload;
  texts.n_shared = std::max(1, o.n_shared_per_worker * n_times);
  const auto what = load::make_workload(o.workload_name, texts);
  if (!what) {
    std::cerr << "souffleur-cluster-simulator: " << what.error() << '\n';
    return std::nullopt;
  }
  auto load = o.load;
  load.n_requests = o.n_requests * n_times;
  load.n_clients = o.n_clients * n_times;
  if (o.n_clients == 0)
    load.arrivals = [&] {
      const double rate = o.rate * n_times;
      return load::make_arrivals({rate, rate, 0, o.burstiness, texts.seed});
    };
  const auto begun = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  const auto progress = [&](int n_placed) {
    if (!o.quiet)
      std::cerr << '\r' << n_workers << " workers, " << policy << ": " << n_placed << " of "
                << load.n_requests << " requests, " << static_cast<int>(seconds()) << " s " << std::flush;
  };
  auto outcome = simulate(settings, **what, load, progress);
  auto found = figures_of(settings, load, outcome);
  if (o.each_request)
    found.requests = std::move(outcome.requests);
  progress(found.n_requests);
  if (!o.quiet)
    std::cerr << '\n';
  if (o.stream_costs.size() > 1)
    found.policy += " " + std::to_string(stream_cost);
  return found;
}

} // namespace

int main(int argc, char** argv) {
  options o;
  o.load.n_output_tokens = 32;
  for (int i = 0; i < argc; ++i)
    o.command += (i > 0 ? " " : "") + std::string{argv[i]};
  CLI::App app{"Simulates a cluster of workers under load, with the routing and scheduling policies of the "
               "server. Lists: 1,2,4.",
               "souffleur-cluster-simulator"};
  add_options(app, o);
  CLI11_PARSE(app, argc, argv);
  if (!o.costs_file.empty()) {
    auto costs = read_costs(o.costs_file);
    if (!costs) {
      std::cerr << "souffleur-cluster-simulator: " << costs.error() << '\n';
      return 2;
    }
    o.cluster.costs = std::move(*costs);
  }
  std::vector<cluster_figures> all;
  for (const int n : o.workers)
    for (const auto& policy : o.policies)
      for (const int stream_cost : o.stream_costs) {
        auto found = run(o, n, policy, stream_cost);
        if (!found)
          return 2;
        all.push_back(std::move(*found));
      }
  print_table(std::cout, all);
  if (!o.json.empty())
    write_json(*std::make_unique<std::ofstream>(o.json), o.command, all);
  if (!o.html.empty())
    write_html(*std::make_unique<std::ofstream>(o.html), o.command, all);
  return 0;
}
