#include "examples/load/summary.hpp"

#include <cmath>

namespace souffleur::load {

namespace {

double ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }
std::int64_t us(double ms) { return std::llround(ms * 1000); }

void add(histogram& to, const std::optional<double>& latency_ms) {
  if (latency_ms)
    to.add(us(*latency_ms));
}

void add_gaps(histogram& to, const request_record& record) {
  for (std::size_t i = 1; i < record.output_ns.size(); ++i)
    to.add((record.output_ns[i] - record.output_ns[i - 1]) / 1000);
}

void count(const request_record& record, load_summary& sum) {
  if (record.outcome == request_outcome::failed) {
    ++sum.n_failed;
    ++sum.errors[record.error];
    return;
  }
  sum.n_prompt_tokens += record.n_prompt_tokens;
  sum.n_cached_tokens += record.n_cached_tokens;
  sum.n_output_tokens += record.n_output_tokens;
  add_gaps(sum.itl, record);
  if (record.outcome == request_outcome::cancelled) {
    ++sum.n_cancelled;
    return;
  }
  ++sum.n_completed;
  sum.counted_by_server &= record.counted_by_server;
  if (!record.source.empty())
    ++sum.sources[record.source];
}

} // namespace

request_latencies latencies_of(const request_record& record, bool queued_apart) {
  const auto from = queued_apart ? record.sent_ns : record.intended_ns;
  request_latencies found;
  found.e2el_ms = ms(record.ended_ns - from);
  found.client_queue_ms = ms(record.sent_ns - record.intended_ns);
  if (record.n_output_tokens > 0)
    found.normalized_ms = found.e2el_ms / record.n_output_tokens;
  if (record.output_ns.empty())
    return found;
  found.ttft_ms = ms(record.output_ns.front() - from);
  if (record.n_output_tokens > 1)
    found.tpot_ms = (found.e2el_ms - *found.ttft_ms) / (record.n_output_tokens - 1);
  if (const auto n_gaps = static_cast<double>(record.output_ns.size() - 1); n_gaps > 0)
    found.mean_itl_ms = ms(record.output_ns.back() - record.output_ns.front()) / n_gaps;
  return found;
}

bool keeps(const service_level& level, const request_latencies& latencies) {
  const auto within = [](const std::optional<double>& bound, const std::optional<double>& value) {
    return !bound || !value || *value <= *bound;
  };
  return within(level.ttft_ms, latencies.ttft_ms) && within(level.itl_ms, latencies.mean_itl_ms) &&
         within(level.tpot_ms, latencies.tpot_ms) && within(level.e2el_ms, latencies.e2el_ms);
}

load_summary summarize(const load_outcome& outcome, bool queued_apart, const service_level& level) {
  load_summary sum;
  sum.duration_s = static_cast<double>(outcome.duration_ns) / 1e9;
  int n_good = 0;
  for (const auto& record : outcome.records) {
    const auto latencies = latencies_of(record, queued_apart);
    if (record.role == request_role::probe) {
      ++sum.n_probes;
      add(sum.probe_ttft, latencies.ttft_ms);
    }
    if (record.role != request_role::measured)
      continue;
    count(record, sum);
    if (record.outcome != request_outcome::failed)
      add(sum.ttft, latencies.ttft_ms);
    if (record.outcome != request_outcome::completed)
      continue;
    add(sum.tpot, latencies.tpot_ms);
    add(sum.e2el, latencies.e2el_ms);
    add(sum.normalized, latencies.normalized_ms);
    add(sum.client_queue, latencies.client_queue_ms);
    add(sum.e2el_including_client_queue, ms(record.ended_ns - record.intended_ns));
    n_good += keeps(level, latencies) ? 1 : 0;
  }
  if (sum.duration_s > 0) {
    sum.requests_per_s = sum.n_completed / sum.duration_s;
    sum.output_tokens_per_s = static_cast<double>(sum.n_output_tokens) / sum.duration_s;
    sum.total_tokens_per_s = static_cast<double>(sum.n_output_tokens + sum.n_prompt_tokens) / sum.duration_s;
    if (level.any())
      sum.goodput = n_good / sum.duration_s;
  }
  return sum;
}

const std::vector<named_latency>& named_latencies() {
  static const std::vector<named_latency> names = {
      {"ttft_ms", "time to first token", &load_summary::ttft},
      {"itl_ms", "between outputs", &load_summary::itl},
      {"tpot_ms", "per output token after the first", &load_summary::tpot},
      {"e2el_ms", "end to end", &load_summary::e2el},
      {"normalized_ms", "end to end per output token", &load_summary::normalized},
      {"e2el_including_client_queue_ms", "end to end with the queue at the client",
       &load_summary::e2el_including_client_queue},
      {"client_queue_ms", "queue at the client", &load_summary::client_queue},
      {"probe_ttft_ms", "time to first token of probes", &load_summary::probe_ttft}};
  return names;
}

} // namespace souffleur::load
