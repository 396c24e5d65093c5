#include "net/trace_events.hpp"

#include "engine/elapsed.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace souffleur {

namespace json = boost::json;

namespace {

enum class track : int { phases = 1, steps, writes };

/// Collects complete events ("X").
class event_list {
public:
  explicit event_list(steady_time zero) : zero_(zero) {
    name(track::phases, "request");
    name(track::steps, "steps");
    name(track::writes, "socket");
  }

  double us(steady_time when) const { return us_between(zero_, when); }
  /// Left out if it did not happen.
  void add(track where, std::string_view what, steady_time from, steady_time to, json::object args = {}) {
    if (from != steady_time{} && to != steady_time{} && to >= from)
      add(where, what, us(from), us(to) - us(from), std::move(args));
  }
  void add(track where, std::string_view what, double from_us, double took_us, json::object args = {}) {
    events_.push_back(json::object{{"name", what},
                                   {"cat", "souffleur"},
                                   {"ph", "X"},
                                   {"pid", 1},
                                   {"tid", static_cast<int>(where)},
                                   {"ts", rounded(from_us)},
                                   {"dur", rounded(took_us)},
                                   {"args", std::move(args)}});
  }
  json::array take() { return std::move(events_); }

private:
  static double rounded(double us) { return std::round(us * 10) / 10; }
  void name(track which, std::string_view what) {
    events_.push_back(json::object{{"name", "thread_name"},
                                   {"ph", "M"},
                                   {"pid", 1},
                                   {"tid", static_cast<int>(which)},
                                   {"args", {{"name", what}}}});
  }

  steady_time zero_;
  json::array events_;
};

steady_time or_else(steady_time when, steady_time otherwise) {
  return when == steady_time{} ? otherwise : when;
}

void add_phases(event_list& events, const request_report& request) {
  const auto& at = request.times;
  const auto& usage = request.usage;
  events.add(track::phases, "request", at.arrival, at.ended,
             {{"outcome", request.outcome},
              {"source", to_string(usage.source)},
              {"prompt_tokens", usage.n_prompt_tokens},
              {"output_tokens", usage.n_output_tokens}});
  events.add(track::phases, "prepare", at.arrival, at.prepared);
  const auto prepared = or_else(at.prepared, at.arrival);
  if (usage.source != answer_source::model) { // nothing was generated for it
    const auto found = or_else(at.first_token, at.ended);
    events.add(track::phases, usage.source == answer_source::flight ? "join" : "cache lookup", prepared,
               found, {{"similarity", usage.similarity}});
    events.add(track::phases, usage.source == answer_source::flight ? "follow" : "replay", found, at.ended);
    return;
  }
  events.add(track::phases, "cache lookup", prepared, at.looked_up, {{"similarity", usage.similarity}});
  events.add(track::phases, "queue", or_else(at.looked_up, prepared), or_else(at.admitted, at.ended));
  events.add(track::phases, "prefill", at.admitted, or_else(at.first_token, at.ended),
             {{"cached_tokens", usage.n_cached_tokens}});
  events.add(track::phases, "decode", at.first_token, at.ended,
             {{"steps", usage.n_steps},
              {"drafted_tokens", usage.n_drafted_tokens},
              {"accepted_tokens", usage.n_accepted_tokens}});
}

/// Of a step are known the parts, not when each began: planning and messages go before the forward pass,
/// though a little of both comes after the sampling.
void add_step(event_list& events, const numbered_step& one, request_id generation) {
  const auto& step = *one.step;
  const auto share = std::ranges::find(step.shares, generation, &step_share::id);
  const double from_us = events.us(step.began);
  const double before_us = step.scheduling_us + std::max(step.messages_us, 0.0);
  json::object args{{"step", one.number},
                    {"rows", share->n_rows},
                    {"drafted", share->n_drafted},
                    {"accepted", share->n_accepted},
                    {"output_tokens", share->n_made},
                    {"rows_of_all", step.n_rows},
                    {"running", step.n_running},
                    {"pages_in_use", step.kv.n_owned + step.kv.n_pinned}};
  if (share->n_drafted > 0)
    args["drafter"] = to_string(share->drafter);
  events.add(track::steps, share->n_computed < share->n_prompt ? "prefill step" : "decode step", from_us,
             before_us + step.forward_us + step.sampling_us, std::move(args));
  events.add(track::steps, "plan", from_us, before_us);
  events.add(track::steps, "forward", from_us + before_us, step.forward_us);
  events.add(track::steps, "sample", from_us + before_us + step.forward_us, step.sampling_us);
}

} // namespace

std::string request_name(request_id id, std::int64_t server_began_s) {
  return std::to_string(server_began_s) + "-" + std::to_string(id);
}

std::optional<request_id> request_named(std::string_view name, std::int64_t server_began_s) {
  constexpr std::string_view in_header = "req-";
  const auto prefix = std::to_string(server_began_s) + "-";
  const auto at = name.rfind(prefix);
  std::string_view digits;
  if (name.starts_with(in_header))
    digits = name.substr(in_header.size());
  else if (at != std::string_view::npos && (at == 0 || name[at - 1] == '-' || name[at - 1] == '_'))
    digits = name.substr(at + prefix.size());
  request_id id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (error != std::errc{} || end != digits.data() + digits.size())
    return std::nullopt;
  return id;
}

json::object trace_events(const request_trace& trace, std::span<const written_part> written,
                          std::string_view name, std::int64_t came_unix_us) {
  event_list events{trace.request.times.arrival};
  add_phases(events, trace.request);
  for (const auto& one : trace.steps)
    add_step(events, one, trace.request.generation);
  for (const auto& part : written)
    events.add(track::writes, "write", part.began, part.ended);
  return {{"displayTimeUnit", "ms"},
          {"otherData", {{"request", name}, {"is_whole", trace.is_whole}, {"came_unix_us", came_unix_us}}},
          {"traceEvents", events.take()}};
}

} // namespace souffleur
