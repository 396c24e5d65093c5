#include "examples/load/report.hpp"

#include <boost/json/array.hpp>

#include <cmath>
#include <cstdio>

namespace souffleur::load {

namespace json = boost::json;

namespace {

double ms_of_us(double us) { return std::round(us) / 1000; }
double ms_of_ns(std::int64_t ns) { return std::round(static_cast<double>(ns) / 1000) / 1000; }

json::value latency_object(const histogram& values) {
  if (values.count() == 0)
    return nullptr;
  const auto at = [&](double share) { return ms_of_us(static_cast<double>(values.quantile(share))); };
  return json::object{{"n", values.count()},
                      {"mean", ms_of_us(values.mean())},
                      {"std", ms_of_us(values.standard_deviation())},
                      {"min", ms_of_us(static_cast<double>(values.min()))},
                      {"p50", at(0.5)},
                      {"p90", at(0.9)},
                      {"p95", at(0.95)},
                      {"p99", at(0.99)},
                      {"p99_9", at(0.999)},
                      {"max", ms_of_us(static_cast<double>(values.max()))}};
}

json::object counts_object(const std::map<std::string, int>& counts) {
  json::object object;
  for (const auto& [name, n] : counts)
    object[name] = n;
  return object;
}

json::object summary_object(const load_summary& sum) {
  json::object object{{"completed", sum.n_completed},
                      {"cancelled", sum.n_cancelled},
                      {"failed", sum.n_failed},
                      {"duration_s", sum.duration_s},
                      {"prompt_tokens", sum.n_prompt_tokens},
                      {"cached_tokens", sum.n_cached_tokens},
                      {"output_tokens", sum.n_output_tokens},
                      {"output_tokens_counted_by", sum.counted_by_server ? "server" : "outputs"},
                      {"requests_per_s", sum.requests_per_s},
                      {"output_tokens_per_s", sum.output_tokens_per_s},
                      {"total_tokens_per_s", sum.total_tokens_per_s},
                      {"sources", counts_object(sum.sources)},
                      {"errors", counts_object(sum.errors)}};
  if (sum.goodput)
    object["goodput"] = *sum.goodput;
  for (const auto& latency : named_latencies())
    object[latency.name] = latency_object(sum.*latency.values);
  return object;
}

const char* name_of(request_role role) {
  constexpr const char* names[] = {"warm_up", "measured", "probe"};
  return names[static_cast<int>(role)];
}

json::object request_object(const request_record& record, bool texts) {
  json::array outputs;
  for (const auto at : record.output_ns)
    outputs.emplace_back(ms_of_ns(at - record.intended_ns));
  json::object object{{"role", name_of(record.role)},
                      {"outcome", to_string(record.outcome)},
                      {"dialogue", record.dialogue},
                      {"turn", record.turn},
                      {"intended_ms", ms_of_ns(record.intended_ns)},
                      {"sent_ms", ms_of_ns(record.sent_ns - record.intended_ns)},
                      {"outputs_ms", std::move(outputs)},
                      {"ended_ms", ms_of_ns(record.ended_ns - record.intended_ns)},
                      {"prompt_tokens", record.n_prompt_tokens},
                      {"cached_tokens", record.n_cached_tokens},
                      {"output_tokens", record.n_output_tokens},
                      {"finish_reason", record.finish_reason},
                      {"source", record.source},
                      {"digest", digest_of(record.text)}};
  if (!record.error.empty())
    object["error"] = record.error;
  if (texts)
    object["text"] = record.text;
  return object;
}

} // namespace

std::string digest_of(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL; // FNV-1a
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

json::object json_of(const run_report& report, bool texts) {
  json::array loads;
  for (const auto& load : report.loads) {
    json::array requests;
    for (const auto& record : load.outcome.records)
      requests.push_back(request_object(record, texts));
    loads.push_back(json::object{{"name", load.name},
                                 {"latencies_from", load.queued_apart ? "sent" : "intended"},
                                 {"summary", summary_object(load.summary)},
                                 {"requests", std::move(requests)}});
  }
  return {{"tool", "souffleur-load"},
          {"format", 1},
          {"date", report.date},
          {"label", report.label},
          {"command", report.command},
          {"url", report.url},
          {"workload", report.workload},
          {"machine", report.machine},
          {"load_before", report.load_before},
          {"loads", std::move(loads)}};
}

} // namespace souffleur::load
