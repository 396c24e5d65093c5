#include "examples/load/report.hpp"

#include <cstdio>
#include <ostream>

namespace souffleur::load {

namespace {

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
  return text;
}

std::string median_and_p99(const histogram& us) {
  if (us.count() == 0)
    return "-";
  const auto ms = [&](double share) { return rounded(static_cast<double>(us.quantile(share)) / 1000); };
  return ms(0.5) + " / " + ms(0.99);
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos)
    return text;
  std::string inside;
  for (const char c : text)
    inside += c == '"' ? "\"\"" : std::string{c};
  return '"' + inside + '"';
}

std::string or_nothing(const std::optional<double>& value) { return value ? rounded(*value) : ""; }

} // namespace

void write_csv(std::ostream& out, const run_report& report) {
  out << "load,role,outcome,dialogue,turn,intended_ms,client_queue_ms,ttft_ms,mean_itl_ms,tpot_ms,e2el_ms,"
         "normalized_ms,prompt_tokens,cached_tokens,output_tokens,outputs,finish_reason,source,error\n";
  for (const auto& load : report.loads)
    for (const auto& record : load.outcome.records) {
      constexpr const char* roles[] = {"warm_up", "measured", "probe"};
      const auto latencies = latencies_of(record, load.queued_apart);
      out << quoted(load.name) << ',' << roles[static_cast<int>(record.role)] << ','
          << to_string(record.outcome) << ',' << record.dialogue << ',' << record.turn << ','
          << static_cast<double>(record.intended_ns) / 1e6 << ',' << rounded(latencies.client_queue_ms) << ','
          << or_nothing(latencies.ttft_ms) << ',' << or_nothing(latencies.mean_itl_ms) << ','
          << or_nothing(latencies.tpot_ms) << ',' << rounded(latencies.e2el_ms) << ','
          << or_nothing(latencies.normalized_ms) << ',' << record.n_prompt_tokens << ','
          << record.n_cached_tokens << ',' << record.n_output_tokens << ',' << record.output_ns.size() << ','
          << quoted(record.finish_reason) << ',' << quoted(record.source) << ',' << quoted(record.error)
          << '\n';
    }
}

void write_markdown(std::ostream& out, const run_report& report) {
  bool goodput = false;
  bool queued = false;
  bool probes = false;
  bool by_server = true;
  for (const auto& load : report.loads) {
    goodput |= load.summary.goodput.has_value();
    queued |= load.queued_apart;
    probes |= load.summary.n_probes > 0;
    by_server &= load.summary.counted_by_server;
  }
  out << "| load | requests | failed | requests/s | tokens/s |" << (goodput ? " goodput/s |" : "")
      << " TTFT p50 / p99 ms | ITL p50 / p99 ms | TPOT p50 / p99 ms | E2E p50 / p99 ms | E2E by token p50 / "
         "p99 ms |"
      << (queued ? " client's queue p50 / p99 ms |" : "") << (probes ? " probes' TTFT p50 / p99 ms |" : "")
      << "\n|"
      << "---|---|---|---|---|" << (goodput ? "---|" : "") << "---|---|---|---|---|" << (queued ? "---|" : "")
      << (probes ? "---|" : "") << '\n';
  for (const auto& load : report.loads) {
    const auto& sum = load.summary;
    out << "| " << load.name << " | " << sum.n_completed + sum.n_cancelled << " | " << sum.n_failed << " | "
        << rounded(sum.requests_per_s) << " | " << rounded(sum.output_tokens_per_s) << " | ";
    if (goodput)
      out << or_nothing(sum.goodput) << " | ";
    out << median_and_p99(sum.ttft) << " | " << median_and_p99(sum.itl) << " | " << median_and_p99(sum.tpot)
        << " | " << median_and_p99(sum.e2el) << " | " << median_and_p99(sum.normalized) << " |";
    if (queued)
      out << ' ' << median_and_p99(sum.client_queue) << " |";
    if (probes)
      out << ' ' << median_and_p99(sum.probe_ttft) << " |";
    out << '\n';
  }
  out << "\nOutput tokens were counted by "
      << (by_server ? "the server (usage)"
                    : "the outputs that came: the server does not say how many tokens there were")
      << ". Latencies count from when a request was "
      << (queued ? "sent" : "to be sent, whether the client could or not") << ".\n";
  for (const auto& load : report.loads) {
    if (const auto& late = load.summary.client_queue; !load.queued_apart && late.count() > 0)
      out << load.name << ": requests were written p50 " << late.quantile(0.5) << ", p99 "
          << late.quantile(0.99) << " us after they were to be\n";
    for (const auto& [error, n] : load.summary.errors)
      out << load.name << ": " << n << " failed: " << error << '\n';
    if (load.summary.sources.empty())
      continue;
    out << load.name << ": answers from";
    for (const auto& [source, n] : load.summary.sources)
      out << ' ' << source << ' ' << n;
    out << '\n';
  }
}

} // namespace souffleur::load
