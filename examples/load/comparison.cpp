#include "examples/load/comparison.hpp"

#include "examples/load/seeded_random.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <numeric>
#include <optional>
#include <ostream>
#include <sstream>

namespace souffleur::load {

namespace json = boost::json;

namespace {

double mean(std::vector<double>& sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

double ranked(std::vector<double>& sample, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sample.size())));
  const auto at = sample.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(sample.begin(), at, sample.end());
  return *at;
}

double median(std::vector<double>& sample) { return ranked(sample, 0.5); }
double p99(std::vector<double>& sample) { return ranked(sample, 0.99); }

/// What one load gives to compare.
struct load_samples {
  std::string name;
  std::vector<double> ttft_ms, gap_ms, tpot_ms, e2el_ms; ///< by request
  std::vector<double> tokens_per_s;                      ///< by slice of the load's time
  std::int64_t n_failed = 0;
};

constexpr int n_slices = 20;

struct timed_tokens {
  double at_ms = 0;
  double n = 0;
};

std::vector<double> rates_by_slice(const std::vector<timed_tokens>& all, double begin_ms, double end_ms) {
  std::vector<double> slices(n_slices);
  const double width_ms = (end_ms - begin_ms) / n_slices;
  if (width_ms <= 0)
    return {};
  for (const auto& one : all) {
    const auto slice = static_cast<int>((one.at_ms - begin_ms) / width_ms);
    slices[static_cast<std::size_t>(std::clamp(slice, 0, n_slices - 1))] += one.n / width_ms * 1000;
  }
  return slices;
}

load_samples samples_of(const json::object& load) {
  load_samples found;
  found.name = load.at("name").as_string();
  const bool from_sent = load.at("latencies_from").as_string() == "sent";
  std::vector<timed_tokens> tokens;
  double begin_ms = std::numeric_limits<double>::max();
  double end_ms = 0;
  for (const auto& value : load.at("requests").as_array()) {
    const auto& request = value.as_object();
    if (request.at("role").as_string() != "measured")
      continue;
    if (request.at("outcome").as_string() == "failed") {
      ++found.n_failed;
      continue;
    }
    const auto number = [&](const char* key) { return request.at(key).to_number<double>(); };
    const double intended_ms = number("intended_ms");
    const double from_ms = from_sent ? number("sent_ms") : 0;
    std::vector<double> outputs;
    for (const auto& at : request.at("outputs_ms").as_array())
      outputs.push_back(at.to_number<double>());
    const double n_tokens = number("output_tokens");
    begin_ms = std::min(begin_ms, intended_ms);
    end_ms = std::max(end_ms, intended_ms + number("ended_ms"));
    for (const double at : outputs)
      tokens.push_back({intended_ms + at, n_tokens / static_cast<double>(outputs.size())});
    if (!outputs.empty())
      found.ttft_ms.push_back(outputs.front() - from_ms);
    if (request.at("outcome").as_string() != "completed")
      continue;
    found.e2el_ms.push_back(number("ended_ms") - from_ms);
    if (!outputs.empty() && n_tokens > 1)
      found.tpot_ms.push_back((number("ended_ms") - outputs.front()) / (n_tokens - 1));
    if (outputs.size() > 1)
      found.gap_ms.push_back((outputs.back() - outputs.front()) / static_cast<double>(outputs.size() - 1));
  }
  found.tokens_per_s = rates_by_slice(tokens, begin_ms, end_ms);
  return found;
}

struct figure_kind {
  const char* name;
  std::vector<double> load_samples::*sample;
  sample_figure figure;
  bool more_is_better;
};

const std::vector<figure_kind>& figure_kinds() {
  static const std::vector<figure_kind> kinds = {{"output tokens/s", &load_samples::tokens_per_s, mean, true},
                                                 {"TTFT p50 ms", &load_samples::ttft_ms, median, false},
                                                 {"TTFT p99 ms", &load_samples::ttft_ms, p99, false},
                                                 {"mean ITL p50 ms", &load_samples::gap_ms, median, false},
                                                 {"TPOT p50 ms", &load_samples::tpot_ms, median, false},
                                                 {"TPOT p99 ms", &load_samples::tpot_ms, p99, false},
                                                 {"E2E p50 ms", &load_samples::e2el_ms, median, false},
                                                 {"E2E p99 ms", &load_samples::e2el_ms, p99, false}};
  return kinds;
}

std::vector<double> resampled(const std::vector<double>& sample, seeded_random& random) {
  std::vector<double> drawn(sample.size());
  for (auto& value : drawn)
    value = sample[random.below(sample.size())];
  return drawn;
}

std::optional<compared_figure> compared(const figure_kind& kind, const load_samples& before,
                                        const load_samples& after) {
  const auto& a = before.*kind.sample;
  const auto& b = after.*kind.sample;
  if (a.empty() || b.empty())
    return std::nullopt;
  auto in_a = a;
  auto in_b = b;
  compared_figure found{before.name, kind.name, kind.figure(in_a),      kind.figure(in_b),
                        0,           0,         verdict::not_told_apart};
  const auto interval = bootstrap_ratio(a, b, kind.figure);
  found.low = interval.low;
  found.high = interval.high;
  if (interval.low > 1)
    found.said = kind.more_is_better ? verdict::better : verdict::worse;
  else if (interval.high < 1)
    found.said = kind.more_is_better ? verdict::worse : verdict::better;
  return found;
}

std::vector<load_samples> loads_of(const json::object& run) {
  std::vector<load_samples> loads;
  for (const auto& load : run.at("loads").as_array())
    loads.push_back(samples_of(load.as_object()));
  return loads;
}

void compare_load(const load_samples& before, const load_samples& after, comparison& found) {
  for (const auto& kind : figure_kinds())
    if (const auto figure = compared(kind, before, after))
      found.figures.push_back(*figure);
  if (before.n_failed != after.n_failed)
    found.notes.push_back(before.name + ": " + std::to_string(before.n_failed) + " failed before, " +
                          std::to_string(after.n_failed) + " after");
}

result<json::object> read_run(const std::string& path) {
  std::ifstream file{path};
  std::ostringstream text;
  text << file.rdbuf();
  boost::system::error_code error;
  auto value = json::parse(text.str(), error);
  if (error || !value.is_object() || value.get_object().if_contains("loads") == nullptr)
    return failure{path + ": not a file that souffleur-load --json wrote"};
  return std::move(value.get_object());
}

const char* to_string(verdict said) {
  switch (said) {
  case verdict::better:
    return "better";
  case verdict::worse:
    return "WORSE";
  case verdict::not_told_apart:
    break;
  }
  return "cannot be told apart";
}

} // namespace

bool comparison::got_worse() const {
  return std::any_of(figures.begin(), figures.end(),
                     [](const auto& figure) { return figure.said == verdict::worse; });
}

ratio_interval bootstrap_ratio(const std::vector<double>& before, const std::vector<double>& after,
                               sample_figure figure, int n_draws) {
  seeded_random random{20, 26};
  std::vector<double> ratios;
  for (int i = 0; i < n_draws; ++i) {
    auto a = resampled(before, random);
    auto b = resampled(after, random);
    const double below = figure(a);
    ratios.push_back(below > 0 ? figure(b) / below : 1);
  }
  return {ranked(ratios, 0.025), ranked(ratios, 0.975)};
}

comparison compare_runs(const json::object& before, const json::object& after) {
  comparison found;
  if (before.at("workload") != after.at("workload"))
    found.notes.push_back("the workloads differ: " + std::string{before.at("workload").as_string()} +
                          " and " + std::string{after.at("workload").as_string()});
  auto others = loads_of(after);
  for (const auto& load : loads_of(before)) {
    const auto same = std::find_if(others.begin(), others.end(),
                                   [&](const auto& other) { return other.name == load.name; });
    if (same == others.end()) {
      found.notes.push_back(load.name + " is in the first run only");
      continue;
    }
    compare_load(load, *same, found);
    others.erase(same);
  }
  for (const auto& load : others)
    found.notes.push_back(load.name + " is in the second run only");
  return found;
}

result<comparison> compare_files(const std::string& before, const std::string& after) {
  const auto a = read_run(before);
  if (!a)
    return failure{a.error()};
  const auto b = read_run(after);
  if (!b)
    return failure{b.error()};
  try {
    return compare_runs(*a, *b);
  } catch (const std::exception&) { // a member is missing or of another kind
    return failure{"the files are of another version of souffleur-load"};
  }
}

void write_comparison(std::ostream& out, const comparison& found) {
  out << "| load | figure | before | after | after / before (95 %) | |\n|---|---|---|---|---|---|\n";
  std::string worse;
  for (const auto& figure : found.figures) {
    char numbers[160];
    std::snprintf(numbers, sizeof numbers, "%.2f | %.2f | %.3f (%.3f to %.3f)", figure.before, figure.after,
                  figure.before > 0 ? figure.after / figure.before : 1, figure.low, figure.high);
    out << "| " << figure.load << " | " << figure.figure << " | " << numbers << " | "
        << to_string(figure.said) << " |\n";
    if (figure.said == verdict::worse)
      worse += (worse.empty() ? "" : ", ") + figure.load + " " + figure.figure;
  }
  out << "\n"
      << (worse.empty() ? "Nothing got worse by more than chance." : "Got worse: " + worse + ".") << "\n";
  for (const auto& note : found.notes)
    out << note << "\n";
}

} // namespace souffleur::load
