#include "actors/serving_metrics.hpp"

#include "actors/recent_activity.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace souffleur {

namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using labels = std::map<std::string, std::string>;

const Histogram::BucketBoundaries latency_buckets_s = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160};
const Histogram::BucketBoundaries step_buckets_s = {1e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                                    2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1,  0.2,  0.5,  1};
const Histogram::BucketBoundaries similarity_buckets = {0.5,  0.55, 0.6,  0.65, 0.7,  0.74, 0.78, 0.8,  0.82,
                                                        0.84, 0.86, 0.88, 0.9,  0.92, 0.94, 0.96, 0.98, 0.99};
constexpr const char* outcomes[] = {"same", "different", "unknown"}; ///< by likeness

similar_use use_of(const cache_finding& found) {
  if (found.source == answer_source::semantic)
    return similar_use::served;
  if (found.doubt)
    return similar_use::compared;
  return found.answer ? similar_use::drafted : similar_use::ignored;
}

value_histogram taken_from(Histogram& histogram) {
  const auto collected = histogram.Collect().histogram;
  value_histogram taken;
  taken.sum = collected.sample_sum;
  std::uint64_t n_below = 0;
  for (const auto& bucket : collected.bucket) {
    taken.counts.push_back(bucket.cumulative_count - n_below);
    n_below = bucket.cumulative_count;
    if (taken.bounds.size() + 1 < collected.bucket.size())
      taken.bounds.push_back(bucket.upper_bound);
  }
  return taken;
}

std::uint64_t count_of(const Counter& counter) { return static_cast<std::uint64_t>(counter.Value()); }

} // namespace

struct serving_metrics::registry {
  explicit registry(std::string model_name) : common{{"model_name", std::move(model_name)}} {
    for (std::size_t i = 0; i < verdicts.size(); ++i)
      verdicts[i] = &counter("souffleur_response_cache_verdicts_total",
                             "Answers that were generated although one was stored, compared with that.",
                             {{"outcome", outcomes[i]}});
    for (std::size_t i = 0; i < similarities.size(); ++i)
      similarities[i] =
          &histogram("souffleur_response_cache_similarity",
                     "Of a question and the nearest stored one, by what became of that's answer.",
                     {{"use", to_string(static_cast<similar_use>(i))}}, similarity_buckets);
  }

  prometheus::Registry all;
  labels common;

  Counter& counter(const std::string& name, const std::string& help, const labels& more = {}) {
    return prometheus::BuildCounter().Name(name).Help(help).Labels(common).Register(all).Add(more);
  }
  Gauge& gauge(const std::string& name, const std::string& help, const labels& more = {}) {
    return prometheus::BuildGauge().Name(name).Help(help).Labels(common).Register(all).Add(more);
  }
  Histogram& histogram(const std::string& name, const std::string& help, const labels& more,
                       const Histogram::BucketBoundaries& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Labels(common).Register(all).Add(more, buckets);
  }

  Gauge& running{gauge("vllm:num_requests_running", "Requests in the batch.")};
  Gauge& waiting{gauge("vllm:num_requests_waiting", "Requests that wait to be admitted.")};
  Gauge& kv_usage{
      gauge("vllm:kv_cache_usage_perc", "Share of KV pages that running sequences hold; 1 is all.")};
  Gauge& kv_free{gauge("souffleur_kv_pages", "KV pages by owner.", {{"state", "free"}})};
  Gauge& kv_cached{gauge("souffleur_kv_pages", "KV pages by owner.", {{"state", "cached"}})};
  Gauge& kv_pinned{gauge("souffleur_kv_pages", "KV pages by owner.", {{"state", "pinned"}})};
  Gauge& kv_owned{gauge("souffleur_kv_pages", "KV pages by owner.", {{"state", "owned"}})};
  Counter& kv_evicted{counter("souffleur_kv_evicted_pages_total", "Pages evicted from the prefix tree.")};
  Counter& prefix_queries{
      counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix tree.")};
  Counter& prefix_hits{counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix tree.")};
  Counter& prompt_tokens{counter("vllm:prompt_tokens_total", "Prompt tokens of finished requests.")};
  Counter& generation_tokens{counter("vllm:generation_tokens_total", "Tokens generated.")};
  Counter& drafts{counter("vllm:spec_decode_num_drafts_total", "Drafts that were verified.")};
  Counter& draft_tokens{counter("vllm:spec_decode_num_draft_tokens_total", "Tokens drafted.")};
  Counter& accepted_tokens{counter("vllm:spec_decode_num_accepted_tokens_total", "Drafted tokens accepted.")};
  Counter& steps{counter("souffleur_steps_total", "Forward passes of the target model.")};
  Counter& stuck_steps{
      counter("souffleur_stuck_steps_total", "Steps that took longer than scheduler.step_timeout_s allows.")};
  Counter& prefill_rows{
      counter("souffleur_prefill_rows_total", "Prompt tokens computed (not found in the tree).")};
  Counter& cache_lookups{counter("souffleur_response_cache_lookups_total",
                                 "Lookups in the response cache; requests that share one are one.")};
  Counter& cache_drafts{counter("souffleur_response_cache_drafts_total",
                                "Answers to similar questions that were drafted from.")};
  Histogram& ttft{histogram("vllm:time_to_first_token_seconds", "From arrival to the first token.", {},
                            latency_buckets_s)};
  Histogram& itl{histogram("vllm:inter_token_latency_seconds",
                           "Between a generation's tokens; those of one step count as one.", {},
                           latency_buckets_s)};
  Histogram& e2e{
      histogram("vllm:e2e_request_latency_seconds", "From arrival to the end.", {}, latency_buckets_s)};
  Histogram& queue{
      histogram("vllm:request_queue_time_seconds", "From arrival to admission.", {}, latency_buckets_s)};
  Histogram& tpot{histogram("vllm:request_time_per_output_token_seconds",
                            "Decode time per token after the first.", {}, latency_buckets_s)};
  Histogram& forward{part("forward")};
  Histogram& sampling{part("sampling")};
  Histogram& scheduling{part("scheduling")};
  Histogram& messages{part("messages")};
  kv_counters seen;
  std::vector<Counter*> accepted_at; ///< by position in the draft

  std::array<Counter*, 3> verdicts{}; ///< by likeness
  std::array<Histogram*, n_similar_uses> similarities{};
  recent_activity recent;

  std::mutex tier_mutex; ///< of the next three
  file_tier_counters tier_seen;
  store_counters store_seen;
  answer_cache_counters answers_seen;

  Counter& cache_hits(answer_source source) {
    return counter("souffleur_response_cache_hits_total",
                   "Requests answered without a generation of their own, by where the answer came from.",
                   {{"source", to_string(source)}});
  }

  void record_draft(const draft_report& draft) {
    drafts.Increment();
    const labels drafter{{"drafter", to_string(draft.drafter)}};
    counter("souffleur_draft_tokens_total", "Tokens drafted, by who drafted them.", drafter)
        .Increment(draft.n_drafted);
    counter("souffleur_accepted_draft_tokens_total", "Drafted tokens accepted, by who drafted them.", drafter)
        .Increment(draft.n_accepted);
    for (std::size_t i = 0; i < static_cast<std::size_t>(draft.n_accepted); ++i) {
      if (i == accepted_at.size())
        accepted_at.push_back(&counter("vllm:spec_decode_num_accepted_tokens_per_pos_total",
                                       "Drafted tokens accepted, by their position in the draft.",
                                       {{"position", std::to_string(i)}}));
      accepted_at[i]->Increment();
    }
  }

  Histogram& part(const std::string& name) {
    return histogram("souffleur_step_seconds", "Where a step's time goes.", {{"part", name}}, step_buckets_s);
  }
};

serving_metrics::serving_metrics(const std::string& model_name)
    : registry_(std::make_unique<registry>(model_name)) {}
serving_metrics::~serving_metrics() = default;

void serving_metrics::record(const step_report& report) {
  auto& r = *registry_;
  r.running.Set(report.n_running);
  r.waiting.Set(report.n_waiting);
  r.kv_free.Set(report.kv.n_free);
  r.kv_cached.Set(report.kv.n_cached);
  r.kv_pinned.Set(report.kv.n_pinned);
  r.kv_owned.Set(report.kv.n_owned);
  if (report.kv.n_total > 0)
    r.kv_usage.Set(static_cast<double>(report.kv.n_pinned + report.kv.n_owned) / report.kv.n_total);
  // A restarted kv manager counts from zero again.
  const auto grown = [](std::uint64_t now, std::uint64_t before) {
    return static_cast<double>(now >= before ? now - before : now);
  };
  const auto& now = report.kv_counters_now;
  r.prefix_queries.Increment(grown(now.n_queried_tokens, r.seen.n_queried_tokens));
  r.prefix_hits.Increment(grown(now.n_hit_tokens, r.seen.n_hit_tokens));
  r.kv_evicted.Increment(grown(now.n_evicted_pages, r.seen.n_evicted_pages));
  r.seen = now;
  r.recent.note(report);
  if (report.idle)
    return;
  for (const auto& share : report.shares)
    if (share.gap_ms >= 0)
      r.itl.Observe(share.gap_ms * 1e-3);
  r.steps.Increment();
  r.prefill_rows.Increment(report.n_prefill_rows);
  r.generation_tokens.Increment(report.n_output_tokens);
  r.draft_tokens.Increment(report.n_draft_rows);
  r.accepted_tokens.Increment(report.n_accepted);
  for (const auto& draft : report.drafts)
    r.record_draft(draft);
  r.forward.Observe(report.forward_us * 1e-6);
  r.sampling.Observe(report.sampling_us * 1e-6);
  r.scheduling.Observe(report.scheduling_us * 1e-6);
  r.messages.Observe(report.messages_us * 1e-6);
}

void serving_metrics::record(const request_report& report) {
  auto& r = *registry_;
  r.recent.note(report);
  r.counter("vllm:request_success_total", "Requests by how they ended.",
            {{"finished_reason", report.outcome}})
      .Increment();
  r.prompt_tokens.Increment(report.usage.n_prompt_tokens);
  if (report.usage.source != answer_source::model)
    r.cache_hits(report.usage.source).Increment();
  r.e2e.Observe(report.e2e_ms * 1e-3);
  r.queue.Observe(report.usage.queue_ms * 1e-3);
  if (report.ttft_ms >= 0)
    r.ttft.Observe(report.ttft_ms * 1e-3);
  if (report.usage.n_output_tokens > 1)
    r.tpot.Observe(report.usage.decode_ms * 1e-3 / (report.usage.n_output_tokens - 1));
}

void serving_metrics::set_memory(const std::vector<memory_part>& parts) {
  for (const auto& part : parts)
    registry_
        ->gauge("souffleur_memory_bytes", "Memory by what it is for, at most; see memory.budget_mib.",
                {{"part", part.name}})
        .Set(static_cast<double>(part.bytes));
}

void serving_metrics::record_remote_drafter(bool is_there) {
  registry_->gauge("souffleur_remote_drafter", "1: the drafter in another process is there.").Set(is_there);
}

void serving_metrics::record(const cluster_report& report) {
  auto& r = *registry_;
  r.gauge("souffleur_cluster_workers", "Workers that this router has.").Set(report.n_workers);
  r.gauge("souffleur_cluster_streams", "Streams that this router has, by state.", {{"state", "placed"}})
      .Set(report.n_streams - report.n_unplaced);
  r.gauge("souffleur_cluster_streams", "Streams that this router has, by state.", {{"state", "waiting"}})
      .Set(report.n_unplaced);
  r.gauge("souffleur_cluster_replays", "Streams that went on at another worker, since the dispatcher began.")
      .Set(static_cast<double>(report.n_replays));
  const auto prefills = [&](const char* outcome) -> auto& {
    return r.counter("souffleur_cluster_prefills_total",
                     "Prompts that a worker computed for another, by outcome.", {{"outcome", outcome}});
  };
  prefills("shipped").Increment(static_cast<double>(report.prefills.n_shipped));
  prefills("failed").Increment(static_cast<double>(report.prefills.n_failed));
  r.counter("souffleur_cluster_shipped_pages_total", "KV pages that one worker has sent to another.")
      .Increment(static_cast<double>(report.prefills.n_shipped_pages));
  r.running.Set(report.n_streams - report.n_unplaced);
  r.waiting.Set(report.n_unplaced);
}

void serving_metrics::record(const file_tier_counters& counters) {
  auto& r = *registry_;
  const auto lock = std::lock_guard(r.tier_mutex);
  const auto gauge = [&](const char* name, const char* help, std::uint64_t now) {
    r.gauge(name, help).Set(static_cast<double>(now));
  };
  const auto counter = [&](const char* event, std::uint64_t file_tier_counters::*number) {
    r.counter("souffleur_kv_tier_pages_total", "What became of KV pages in files.", {{"event", event}})
        .Increment(static_cast<double>(counters.*number - r.tier_seen.*number));
  };
  gauge("souffleur_kv_tier_pages", "KV pages in files.", counters.n_pages);
  gauge("souffleur_kv_tier_bytes", "Bytes of the files with KV pages.", counters.n_bytes);
  counter("read", &file_tier_counters::n_hit_pages);
  counter("written", &file_tier_counters::n_written_pages);
  counter("damaged", &file_tier_counters::n_damaged_pages);
  counter("displaced", &file_tier_counters::n_displaced_pages);
  counter("refused", &file_tier_counters::n_refused_pages);
  counter("skipped", &file_tier_counters::n_skipped_pages);
  r.tier_seen = counters;
}

void serving_metrics::record(const embedding_report& report) {
  auto& r = *registry_;
  r.counter("souffleur_embedded_texts_total", "Texts embedded.").Increment(report.n_texts);
  r.counter("souffleur_embedded_tokens_total", "Tokens of these texts.").Increment(report.n_ids);
  r.counter("souffleur_embedding_seconds_total", "Time that the embedding model took.")
      .Increment(report.us * 1e-6);
}

void serving_metrics::record_cache_lookup() { registry_->cache_lookups.Increment(); }

void serving_metrics::record(const cache_finding& found) {
  if (found.source == answer_source::model && found.answer)
    registry_->cache_drafts.Increment();
  if (found.embedding && found.similarity > 0)
    registry_->similarities[static_cast<std::size_t>(use_of(found))]->Observe(found.similarity);
}

void serving_metrics::record(likeness verdict) {
  registry_->verdicts[static_cast<std::size_t>(verdict)]->Increment();
}

void serving_metrics::record(const cache_report& report) {
  auto& r = *registry_;
  const auto& now = report.memory;
  {
    const auto lock = std::lock_guard(r.tier_mutex);
    r.answers_seen = now;
  }
  const auto gauge = [&](const char* name, const char* help, double value) {
    r.gauge(name, help).Set(value);
  };
  gauge("souffleur_response_cache_entries", "Answers in memory.", static_cast<double>(now.n_entries));
  gauge("souffleur_response_cache_bytes", "Memory that they take.", static_cast<double>(now.n_bytes));
  gauge("souffleur_response_cache_indexed", "Of the answers, those that are found by meaning.",
        static_cast<double>(now.n_indexed));
  gauge("souffleur_response_cache_partitions", "Sets of requests of which each looks at its own only.",
        static_cast<double>(now.n_partitions));
  gauge("souffleur_response_cache_tombstones", "Vectors that are gone and still in an index.",
        static_cast<double>(now.n_tombstones));
  // A restarted cache counts from zero again.
  const auto removed = [&](const char* why, std::uint64_t n) {
    r.gauge("souffleur_response_cache_removed", "Answers removed from memory since it began, by why.",
            {{"why", why}})
        .Set(static_cast<double>(n));
  };
  removed("evicted", now.n_evicted);
  removed("expired", now.n_expired);
  removed("replaced", now.n_replaced);
  removed("erased", now.n_erased);
  removed("forgotten", now.n_forgotten);
  gauge("souffleur_response_cache_unindexed", "Answers whose embedding was of no use here.",
        static_cast<double>(now.n_unindexed));
  gauge("souffleur_response_store_dropped", "Changes that the store was too slow for, since the cache began.",
        static_cast<double>(report.n_dropped_orders));
}

void serving_metrics::record(const store_counters& counters) {
  auto& r = *registry_;
  const auto lock = std::lock_guard(r.tier_mutex);
  const auto counter = [&](const char* event, std::uint64_t store_counters::*number) {
    r.counter("souffleur_response_store_operations_total", "What the store of answers did.",
              {{"event", event}})
        .Increment(static_cast<double>(counters.*number - r.store_seen.*number));
  };
  counter("read", &store_counters::n_reads);
  counter("found", &store_counters::n_found);
  counter("written", &store_counters::n_writes);
  counter("failed", &store_counters::n_failures);
  counter("damaged", &store_counters::n_damaged);
  r.gauge("souffleur_response_store_entries", "Answers in the store.")
      .Set(static_cast<double>(counters.n_entries));
  r.gauge("souffleur_response_store_bytes", "Bytes that the store takes.")
      .Set(static_cast<double>(counters.n_bytes));
  r.gauge("souffleur_response_store_reachable", "1: the store answers.").Set(counters.is_reachable ? 1 : 0);
  r.store_seen = counters;
}

void serving_metrics::record_stuck_step() { registry_->stuck_steps.Increment(); }

void serving_metrics::record_stuck_part(const std::string& actor) {
  registry_
      ->counter("souffleur_stuck_parts_total", "Actors that hung, and were replaced.", {{"actor", actor}})
      .Increment();
}

void serving_metrics::record_restart(const std::string& actor) {
  registry_
      ->counter("souffleur_actor_restarts_total", "Actors restarted by the supervisor.", {{"actor", actor}})
      .Increment();
}

std::string serving_metrics::text() const {
  return prometheus::TextSerializer{}.Serialize(registry_->all.Collect());
}

serving_snapshot serving_metrics::snapshot(std::uint64_t after_step, std::size_t most_steps) const {
  auto& r = *registry_;
  serving_snapshot all;
  all.now = std::chrono::steady_clock::now();
  all.n_running = static_cast<int>(r.running.Value());
  all.n_waiting = static_cast<int>(r.waiting.Value());
  all.kv.n_free = static_cast<int>(r.kv_free.Value());
  all.kv.n_cached = static_cast<int>(r.kv_cached.Value());
  all.kv.n_pinned = static_cast<int>(r.kv_pinned.Value());
  all.kv.n_owned = static_cast<int>(r.kv_owned.Value());
  all.kv.n_total = all.kv.n_free + all.kv.n_cached + all.kv.n_pinned + all.kv.n_owned;
  all.n_prompt_tokens_queried = count_of(r.prefix_queries);
  all.n_prompt_tokens_found = count_of(r.prefix_hits);
  all.n_prefill_rows = count_of(r.prefill_rows);
  all.n_output_tokens = count_of(r.generation_tokens);
  all.n_requests = r.recent.n_requests();
  all.drafters = r.recent.drafters();
  all.cache.n_lookups = count_of(r.cache_lookups);
  for (int i = 1; i < n_answer_sources; ++i)
    all.cache.n_hits[static_cast<std::size_t>(i)] = count_of(r.cache_hits(static_cast<answer_source>(i)));
  for (std::size_t i = 0; i < r.similarities.size(); ++i)
    all.cache.similarities[i] = taken_from(*r.similarities[i]);
  for (std::size_t i = 0; i < r.verdicts.size(); ++i)
    all.cache.n_verdicts[i] = count_of(*r.verdicts[i]);
  {
    const auto lock = std::lock_guard(r.tier_mutex);
    all.cache.memory = r.answers_seen;
  }
  all.ttft_s = taken_from(r.ttft);
  all.itl_s = taken_from(r.itl);
  all.queue_s = taken_from(r.queue);
  all.e2e_s = taken_from(r.e2e);
  all.steps = r.recent.steps_after(after_step, most_steps);
  all.n_steps = r.recent.n_steps();
  return all;
}

std::optional<request_trace> serving_metrics::trace(request_id id, const std::string& tenant) const {
  return registry_->recent.trace(id, tenant);
}

} // namespace souffleur
