// souffleur-cache-simulator: which eviction strategy keeps what is needed again.
#include "examples/cache_simulator/report.hpp"
#include "policies/eviction_policy.hpp"

#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>

namespace {

using namespace souffleur;
using namespace souffleur::cache_simulator;

struct options {
  std::vector<std::string> models = trace_models();
  std::vector<std::string> files;
  std::vector<std::string> strategies = {"lru", "lfu", "fifo", "slru", "gdsf"};
  std::vector<int> pages = {512, 1024, 2048};
  int n_requests = 4000;
  std::uint64_t seed = 1;
  std::string svg;
};

void add_options(CLI::App& app, options& o) {
  const auto list = [](CLI::Option* option) { return option->delimiter(',')->capture_default_str(); };
  list(app.add_option("-m,--model", o.models, "seeded models of traces"))
      ->check(CLI::IsMember(trace_models()));
  list(app.add_option("-t,--trace", o.files, "Mooncake JSON lines instead of the models"));
  list(app.add_option("-s,--strategy", o.strategies, "of eviction"))->check([](const std::string& name) {
    return make_eviction_policy(name) ? "" : "\"" + name + "\" is no strategy of eviction";
  });
  list(app.add_option("-p,--pages", o.pages, "of the pool"))->check(CLI::Range(1, 1 << 24));
  app.add_option("-n,--requests", o.n_requests, "of each model")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--seed", o.seed, "of the models")->capture_default_str();
  app.add_option("--svg", o.svg, "file for a plot");
}

result<std::vector<trace>> traces_of(const options& o) {
  auto all = std::vector<trace>{};
  for (const auto& file : o.files) {
    auto in = std::ifstream(file);
    if (!in) {
      return failure{file + ": cannot be read"};
    }
    auto read = read_mooncake(in, file);
    if (!read) {
      return failure{read.error()};
    }
    all.push_back(std::move(*read));
  }
  for (const auto& model : o.files.empty() ? o.models : std::vector<std::string>{}) {
    all.push_back(make_trace(model, o.n_requests, o.seed));
  }
  return all;
}

std::vector<comparison> compare(const std::vector<trace>& traces, const options& o) {
  auto all = std::vector<comparison>{};
  for (const auto& one : traces) {
    for (const auto n_pages : o.pages) {
      std::cerr << one.name << ", " << n_pages << " pages\n";
      auto& row = all.emplace_back(comparison{.trace_name = one.name, .n_pages = n_pages, .outcomes = {}});
      for (const auto& strategy : o.strategies) {
        row.outcomes.push_back(replay(one, strategy, n_pages));
      }
      row.outcomes.push_back(replay_belady(one, n_pages));
    }
  }
  return all;
}

} // namespace

int main(int argc, char** argv) {
  auto o = options{};
  auto app =
      CLI::App("Replays prefix traces against each eviction strategy and Belady's bound. The table has "
               "hit rate / recompute cost, in percent of all prompt pages. Lists: 1,2,4.",
               "souffleur-cache-simulator");
  add_options(app, o);
  CLI11_PARSE(app, argc, argv);
  const auto traces = traces_of(o);
  if (!traces) {
    std::cerr << traces.error() << '\n';
    return 2;
  }
  const auto all = compare(*traces, o);
  print_table(std::cout, all);
  if (!o.svg.empty()) {
    auto out = std::ofstream(o.svg);
    plot(out, all);
    if (!out.flush()) {
      std::cerr << o.svg << ": cannot be written\n";
      return 1;
    }
  }
  return 0;
}
