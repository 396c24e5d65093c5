#include "examples/cluster_simulator/report.hpp"

#include "examples/load/svg_chart.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <ostream>

namespace souffleur::cluster_simulation {

namespace {

double ms(const load::histogram& us, double share) { return static_cast<double>(us.quantile(share)) / 1000; }

std::string cell(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

boost::json::array json_of(const std::vector<request_outcome>& requests) {
  boost::json::array each;
  const auto ms_of = [](nanoseconds ns) { return static_cast<double>(ns) / 1e6; };
  for (const auto& one : requests)
    each.push_back(boost::json::object{{"dialogue", one.dialogue},
                                       {"turn", one.turn},
                                       {"worker", one.worker},
                                       {"intended_ms", ms_of(one.intended)},
                                       {"ttft_ms", ms_of(one.first - one.intended)},
                                       {"ended_ms", ms_of(one.ended - one.intended)},
                                       {"prompt_tokens", one.n_prompt_tokens},
                                       {"cached_tokens", one.n_cached_tokens}});
  return each;
}

template <class Value>
load::chart chart_of(const std::vector<cluster_figures>& all, const std::string& title,
                     const std::string& unit, Value value) {
  load::chart drawn{title, "workers", unit, true, true, {}};
  for (const auto& row : all) {
    auto curve = std::ranges::find(drawn.curves, row.policy, &load::curve::name);
    if (curve == drawn.curves.end())
      curve = drawn.curves.insert(curve, {row.policy, {}});
    curve->points.emplace_back(row.n_workers, value(row));
  }
  return drawn;
}

} // namespace

cluster_figures figures_of(const cluster_settings& settings, const offered_load& load,
                           const cluster_outcome& outcome) {
  cluster_figures found;
  found.n_workers = settings.n_workers;
  found.policy = settings.routing_policy;
  found.n_requests = static_cast<int>(outcome.requests.size());
  double n_prompt = 0;
  double n_cached = 0;
  for (const auto& request : outcome.requests) {
    found.ttft_us.add((request.first - request.intended) / 1000);
    if (load.n_output_tokens > 1)
      found.tpot_us.add((request.ended - request.first) / 1000 / (load.n_output_tokens - 1));
    n_prompt += request.n_prompt_tokens;
    n_cached += request.n_cached_tokens;
  }
  const double duration_s = static_cast<double>(outcome.duration) / 1e9;
  const auto busiest = static_cast<double>(*std::ranges::max_element(outcome.busy));
  const auto all_busy = std::accumulate(outcome.busy.begin(), outcome.busy.end(), 0.0);
  const auto mean = all_busy / static_cast<double>(outcome.busy.size());
  if (duration_s <= 0 || mean <= 0)
    return found;
  found.requests_per_s = found.n_requests / duration_s;
  found.output_tokens_per_s = found.requests_per_s * load.n_output_tokens;
  found.hit_rate = n_cached / n_prompt;
  found.n_prompt_tokens = n_prompt / found.n_requests;
  found.imbalance = busiest / mean;
  found.utilisation = mean / 1e9 / duration_s;
  return found;
}

void print_table(std::ostream& out, const std::vector<cluster_figures>& all) {
  out << "| workers | routing | requests | requests/s | tokens/s | TTFT p50 / p95 / p99 ms | TPOT p50 ms | "
         "hits % | "
         "imbalance | busy % |\n|---|---|---|---|---|---|---|---|---|---|\n";
  for (const auto& row : all)
    out << "| " << row.n_workers << " | " << row.policy << " | " << row.n_requests << " | "
        << cell("%.1f", row.requests_per_s) << " | " << cell("%.0f", row.output_tokens_per_s) << " | "
        << cell("%.1f", ms(row.ttft_us, 0.5)) << " / " << cell("%.1f", ms(row.ttft_us, 0.95)) << " / "
        << cell("%.1f", ms(row.ttft_us, 0.99)) << " | " << cell("%.2f", ms(row.tpot_us, 0.5)) << " | "
        << cell("%.1f", 100 * row.hit_rate) << " | " << cell("%.2f", row.imbalance) << " | "
        << cell("%.0f", 100 * row.utilisation) << " |\n";
}

void write_json(std::ostream& out, const std::string& command, const std::vector<cluster_figures>& all) {
  boost::json::array rows;
  for (const auto& row : all) {
    rows.push_back(boost::json::object{{"workers", row.n_workers},
                                       {"routing", row.policy},
                                       {"requests", row.n_requests},
                                       {"prompt_tokens", row.n_prompt_tokens},
                                       {"requests_per_s", row.requests_per_s},
                                       {"output_tokens_per_s", row.output_tokens_per_s},
                                       {"ttft_p50_ms", ms(row.ttft_us, 0.5)},
                                       {"ttft_p95_ms", ms(row.ttft_us, 0.95)},
                                       {"ttft_p99_ms", ms(row.ttft_us, 0.99)},
                                       {"tpot_p50_ms", ms(row.tpot_us, 0.5)},
                                       {"hit_rate", row.hit_rate},
                                       {"imbalance", row.imbalance},
                                       {"utilisation", row.utilisation}});
    if (!row.requests.empty())
      rows.back().as_object()["each"] = json_of(row.requests);
  }
  out << boost::json::serialize(boost::json::object{{"command", command}, {"simulations", rows}}) << '\n';
}

void write_html(std::ostream& out, const std::string& command, const std::vector<cluster_figures>& all) {
  out << "<!doctype html><meta charset=\"utf-8\"><title>A simulated cluster</title><body "
         "style=\"font-family:sans-serif\">"
      << "<h1>A simulated cluster</h1><p><code>" << load::escaped(command) << "</code></p>\n"
      << svg_of(chart_of(all, "Time to first token, p95", "ms",
                         [](const auto& row) { return ms(row.ttft_us, 0.95); }))
      << svg_of(chart_of(all, "Prompt tokens found in the prefix cache", "%",
                         [](const auto& row) { return 100 * row.hit_rate; }))
      << svg_of(chart_of(all, "Output tokens a second, by worker", "tokens/s",
                         [](const auto& row) { return row.output_tokens_per_s / row.n_workers; }))
      << svg_of(chart_of(all, "The busiest worker by the mean one", "",
                         [](const auto& row) { return row.imbalance; }))
      << "</body>\n";
}

} // namespace souffleur::cluster_simulation
