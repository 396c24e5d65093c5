// souffleur-cache-simulator: which eviction strategy keeps what is needed again.
#include "examples/cache_simulator/report.hpp"
#include "policies/eviction_policy.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <fstream>
#include <iostream>
#include <optional>

namespace {

using namespace souffleur;
using namespace souffleur::cache_simulator;

struct options {
  std::vector<std::string> models = trace_models();
  std::vector<std::string> files;
  std::vector<std::string> strategies = {"lru", "lfu", "fifo", "slru", "gdsf", "lhd"};
  std::vector<int> pages = {512, 1024, 2048};
  int n_requests = 4000;
  std::string seeds = "1";
  bool summary = false;
  std::string svg;
};

/// "3", or "1-6"; nothing if it is neither.
std::optional<std::pair<std::uint64_t, std::uint64_t>> range_of(const std::string& text) {
  auto first = std::uint64_t{0};
  const auto* end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, first);
  auto last = first;
  if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-') {
    read = std::from_chars(read.ptr + 1, end, last);
  }
  if (read.ec != std::errc() || read.ptr != end || last < first || last - first >= 1000) {
    return std::nullopt;
  }
  return std::pair(first, last);
}

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
  app.add_option("--seeds", o.seeds, "of the models, one or a range; the table is over all of them")
      ->check([](const std::string& text) {
        return range_of(text) ? "" : "\"" + text + "\" is no range of seeds";
      })
      ->capture_default_str();
  app.add_flag("--summary", o.summary, "the worst of each strategy instead of the table");
  app.add_option("--svg", o.svg, "file for a plot");
}

struct seeded_trace {
  std::uint64_t seed = 0;
  trace what;
};

result<std::vector<seeded_trace>> traces_of(const options& o) {
  auto all = std::vector<seeded_trace>{};
  for (const auto& file : o.files) {
    auto in = std::ifstream(file);
    if (!in) {
      return failure{file + ": cannot be read"};
    }
    auto read = read_mooncake(in, file);
    if (!read) {
      return failure{read.error()};
    }
    all.push_back({0, std::move(*read)});
  }
  for (const auto& model : o.files.empty() ? o.models : std::vector<std::string>{}) {
    const auto [first, last] = *range_of(o.seeds);
    for (auto seed = first; seed <= last; ++seed) {
      all.push_back({seed, make_trace(model, o.n_requests, seed)});
    }
  }
  return all;
}

std::vector<comparison> compare(const std::vector<seeded_trace>& traces, const options& o) {
  auto all = std::vector<comparison>{};
  for (const auto& [seed, one] : traces) {
    for (const auto n_pages : o.pages) {
      std::cerr << one.name << ", " << n_pages << " pages\n";
      auto& row = all.emplace_back(
          comparison{.trace_name = one.name, .seed = seed, .n_pages = n_pages, .outcomes = {}});
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
  const auto each = compare(*traces, o);
  const auto all = over_seeds(each);
  if (o.summary) {
    print_summary(std::cout, each);
  } else {
    print_table(std::cout, all);
  }
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
