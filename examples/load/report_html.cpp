#include "examples/load/report.hpp"
#include "examples/load/svg_chart.hpp"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <sstream>

namespace souffleur::load {

namespace {

/// Share of values up to each, in 100 steps.
curve distribution_of(const std::string& name, const histogram& us) {
  curve drawn{name, {}};
  for (int percent = 1; percent <= 100 && us.count() > 0; ++percent)
    drawn.points.emplace_back(static_cast<double>(us.quantile(percent / 100.0)) / 1000, percent);
  return drawn;
}

chart distributions(const run_report& report, const char* title, const histogram load_summary::*values) {
  chart drawn{title, "ms", "% of values up to it", true, false, {}};
  for (const auto& load : report.loads)
    drawn.curves.push_back(distribution_of(load.name, load.summary.*values));
  return drawn;
}

/// Outputs a second, over the time of a load.
chart rates(const run_report& report) {
  chart drawn{"Streamed outputs over time", "s since the load began", "outputs/s", false, false, {}};
  for (const auto& load : report.loads) {
    const double seconds = std::max(1e-3, load.summary.duration_s);
    const double width = seconds / 60;
    std::vector<double> counts(61);
    for (const auto& record : load.outcome.records)
      for (const auto at : record.output_ns)
        if (record.role == request_role::measured && at >= 0)
          counts[std::min<std::size_t>(
              60, static_cast<std::size_t>(static_cast<double>(at) / 1e9 / width))] += 1 / width;
    curve line{load.name, {}};
    for (std::size_t i = 0; i < 60; ++i)
      line.points.emplace_back((static_cast<double>(i) + 0.5) * width, counts[i]);
    drawn.curves.push_back(std::move(line));
  }
  return drawn;
}

/// A figure of each load, by the number of clients.
template <class Figure>
curve by_clients(const run_report& report, const std::string& name, Figure figure) {
  curve drawn{name, {}};
  for (const auto& load : report.loads)
    if (load.name.compare(0, 8, "clients ") == 0)
      drawn.points.emplace_back(std::stod(load.name.substr(8)), figure(load.summary));
  std::sort(drawn.points.begin(), drawn.points.end());
  return drawn;
}

std::vector<chart> scaling(const run_report& report) {
  const auto ms = [](const histogram& us, double share) {
    return static_cast<double>(us.quantile(share)) / 1000;
  };
  chart throughput{"Throughput by clients", "clients", "output tokens/s", false, true, {}};
  throughput.curves.push_back(
      by_clients(report, "tokens/s", [](const auto& sum) { return sum.output_tokens_per_s; }));
  if (throughput.curves.front().points.size() < 2)
    return {};
  chart latency{"Time to first token by clients", "clients", "ms", false, true, {}};
  latency.curves.push_back(by_clients(report, "p50", [&](const auto& sum) { return ms(sum.ttft, 0.5); }));
  latency.curves.push_back(by_clients(report, "p99", [&](const auto& sum) { return ms(sum.ttft, 0.99); }));
  return {throughput, latency};
}

/// A line a request of a load: waiting, then answering. At most the first 120.
std::string timeline(const finished_load& load) {
  std::vector<const request_record*> shown;
  for (const auto& record : load.outcome.records)
    if (record.role == request_role::measured && shown.size() < 120)
      shown.push_back(&record);
  if (shown.empty())
    return "";
  std::int64_t end = 1;
  for (const auto* record : shown)
    end = std::max(end, record->ended_ns);
  std::ostringstream svg;
  const auto x = [&](std::int64_t ns) {
    return 8 + 620.0 * static_cast<double>(ns) / static_cast<double>(end);
  };
  const auto height = 24 + 5 * shown.size();
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 " << height << "' width='640' height='"
      << height
      << "' font-family='sans-serif' font-size='11'>\n<text x='8' y='14' font-size='14'>Requests of "
      << escaped(load.name) << ", 0 to " << static_cast<double>(end) / 1e9
      << " s: waiting, answering</text>\n";
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const auto& record = *shown[i];
    const double y = 20 + 5 * static_cast<double>(i);
    const auto first = record.output_ns.empty() ? record.ended_ns : record.output_ns.front();
    const auto bar = [&](std::int64_t from, std::int64_t to, const char* colour) {
      svg << "<rect x='" << x(from) << "' y='" << y << "' width='" << std::max(0.3, x(to) - x(from))
          << "' height='4' fill='" << colour << "'/>\n";
    };
    bar(record.intended_ns, first, record.outcome == request_outcome::failed ? "#ff725c" : "#efb118");
    bar(first, record.ended_ns, "#4269d0");
  }
  svg << "</svg>\n";
  return svg.str();
}

/// The Markdown table, as HTML.
void write_table(std::ostream& out, const run_report& report) {
  std::stringstream markdown;
  write_markdown(markdown, report);
  out << "<table>\n";
  bool head = true;
  std::string after;
  for (std::string line; std::getline(markdown, line);) {
    if (line.empty() || line.front() != '|') {
      after += line.empty() ? "" : "<p>" + escaped(line) + "</p>\n";
      continue;
    }
    if (line.compare(0, 4, "|---") == 0)
      continue;
    out << "<tr>";
    std::istringstream cells{line.substr(1)};
    for (std::string cell; std::getline(cells, cell, '|');)
      out << (head ? "<th>" : "<td>") << escaped(cell) << (head ? "</th>" : "</td>");
    out << "</tr>\n";
    head = false;
  }
  out << "</table>\n" << after;
}

} // namespace

void write_html(std::ostream& out, const run_report& report) {
  const auto title = report.label.empty() ? report.workload : report.label;
  out << "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>" << escaped(title)
      << " - souffleur-load</title>\n<style>body{font:14px sans-serif;margin:24px;max-width:1320px}"
         "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:3px 8px;text-align:right}"
         "td:first-child,th:first-child{text-align:left}svg{margin:8px 12px 8px "
         "0}code{background:#f3f3f3}</style></head><body>\n"
      << "<h1>" << escaped(title) << "</h1>\n<p>" << escaped(report.date) << ", " << escaped(report.machine)
      << ", load average before " << report.load_before << ", " << escaped(report.url) << "</p>\n<p><code>"
      << escaped(report.command) << "</code></p>\n";
  write_table(out, report);
  for (const auto& drawn : scaling(report))
    out << svg_of(drawn);
  out << svg_of(distributions(report, "Time to first token", &load_summary::ttft))
      << svg_of(distributions(report, "Between outputs", &load_summary::itl))
      << svg_of(distributions(report, "End to end", &load_summary::e2el)) << svg_of(rates(report));
  for (const auto& load : report.loads)
    out << timeline(load);
  out << "</body></html>\n";
}

} // namespace souffleur::load
