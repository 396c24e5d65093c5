#include "net/stream/watch.hpp"

#include "engine/elapsed.hpp"
#include "net/openai_response.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace souffleur {

namespace json = boost::json;

namespace {

json::object histogram_object(const value_histogram& histogram) {
  return {{"bounds", json::array(histogram.bounds.begin(), histogram.bounds.end())},
          {"counts", json::array(histogram.counts.begin(), histogram.counts.end())},
          {"sum", histogram.sum}};
}

json::object step_object(const numbered_step& one, steady_time now) {
  const auto& step = *one.step;
  return {{"n", one.number},
          {"age_ms", rounded_ms(ms_between(step.began, now))},
          {"rows", step.n_rows},
          {"prefill", step.n_prefill_rows},
          {"drafted", step.n_draft_rows},
          {"accepted", step.n_accepted},
          {"output", step.n_output_tokens},
          {"running", step.n_running},
          {"forward_ms", rounded_ms(step.forward_us / 1000)},
          {"sampling_ms", rounded_ms(step.sampling_us / 1000)},
          {"scheduling_ms", rounded_ms(step.scheduling_us / 1000)},
          {"messages_ms", rounded_ms(std::max(step.messages_us, 0.0) / 1000)}};
}

/// Those that had rows in the last step.
json::array generations(const serving_snapshot& seen) {
  json::array all;
  if (seen.n_running == 0 || seen.steps.empty())
    return all;
  for (const auto& share : seen.steps.back().step->shares)
    if (all.size() < most_watched_generations)
      all.push_back(json::object{{"n", first_asked_by(share.id)},
                                 {"prompt", share.n_prompt},
                                 {"computed", share.n_computed},
                                 {"rows", share.n_rows},
                                 {"drafted", share.n_drafted},
                                 {"accepted", share.n_accepted},
                                 {"output", share.n_output}});
  return all;
}

json::object pages_object(const kv_occupancy& kv) {
  return {{"total", kv.n_total},
          {"free", kv.n_free},
          {"cached", kv.n_cached},
          {"pinned", kv.n_pinned},
          {"owned", kv.n_owned}};
}

json::value tree_object(const kv_summary* kv) {
  if (!kv)
    return nullptr;
  json::array prefixes;
  for (const auto& one : kv->most_hit)
    prefixes.push_back(json::object{{"id", one.serial},
                                    {"parent", one.parent},
                                    {"tokens", one.n_tokens},
                                    {"own", one.n_own_tokens},
                                    {"hits", one.n_hits},
                                    {"users", one.n_pins}});
  return {{"prefixes", kv->n_prefixes},
          {"namespaces", kv->n_namespaces},
          {"deepest", kv->n_deepest_tokens},
          {"evicted_pages", kv->counters.n_evicted_pages},
          {"shown", std::move(prefixes)}};
}

json::array drafters_array(const serving_snapshot& seen) {
  json::array all;
  for (const auto& one : seen.drafters)
    all.push_back(json::object{{"drafter", to_string(one.drafter)},
                               {"drafts", one.n_drafts},
                               {"drafted", one.n_drafted},
                               {"accepted", one.n_accepted}});
  return all;
}

json::object cache_object(const cache_totals& cache) {
  json::object similarities;
  for (int i = 0; i < n_similar_uses; ++i)
    similarities[to_string(static_cast<similar_use>(i))] =
        histogram_object(cache.similarities[static_cast<std::size_t>(i)]);
  json::object hits;
  for (int i = 1; i < n_answer_sources; ++i)
    hits[to_string(static_cast<answer_source>(i))] = cache.n_hits[static_cast<std::size_t>(i)];
  return {
      {"lookups", cache.n_lookups},
      {"hits", std::move(hits)},
      {"similarity", std::move(similarities)},
      {"verdicts",
       {{"same", cache.n_verdicts[0]}, {"different", cache.n_verdicts[1]}, {"unknown", cache.n_verdicts[2]}}},
      {"entries", cache.memory.n_entries},
      {"indexed", cache.memory.n_indexed},
      {"bytes", cache.memory.n_bytes}};
}

} // namespace

json::object watched_body(const serving_snapshot& seen, const kv_summary* kv, const served_model& model) {
  json::array steps;
  for (const auto& one : seen.steps)
    steps.push_back(step_object(one, seen.now));
  return {
      {"now_ms", rounded_ms(ms_between({}, seen.now))},
      {"running", seen.n_running},
      {"waiting", seen.n_waiting},
      {"generations", generations(seen)},
      {"totals",
       {{"requests", seen.n_requests},
        {"steps", seen.n_steps},
        {"output_tokens", seen.n_output_tokens},
        {"prefill_rows", seen.n_prefill_rows},
        {"prompt_tokens_queried", seen.n_prompt_tokens_queried},
        {"prompt_tokens_found", seen.n_prompt_tokens_found}}},
      {"steps", std::move(steps)},
      {"kv",
       {{"pages", pages_object(seen.kv)}, {"page_bytes", model.kv_page_bytes}, {"tree", tree_object(kv)}}},
      {"drafters", drafters_array(seen)},
      {"cache", cache_object(seen.cache)},
      {"latency",
       {{"ttft_s", histogram_object(seen.ttft_s)},
        {"itl_s", histogram_object(seen.itl_s)},
        {"queue_s", histogram_object(seen.queue_s)},
        {"e2e_s", histogram_object(seen.e2e_s)}}}};
}

stream_watch::stream_watch(std::string name, std::chrono::milliseconds interval)
    : name_(std::move(name)), interval_(interval) {}

void stream_watch::change_interval(std::chrono::milliseconds interval) {
  interval_ = interval;
  due_ = {};
}

json::object stream_watch::numbered(const char* type) {
  return {{"type", type}, {"id", name_}, {"seq", seq_++}};
}

std::string stream_watch::frame(const serving_snapshot& seen, const kv_summary* kv,
                                const served_model& model) {
  auto frame = numbered("watched");
  for (auto& [name, value] : watched_body(seen, kv, model))
    frame[name] = std::move(value);
  if (!seen.steps.empty())
    last_step_ = seen.steps.back().number;
  due_ = seen.now + interval_;
  return json::serialize(frame);
}

std::string stream_watch::last_frame() { return json::serialize(numbered("unwatched")); }

} // namespace souffleur
