#include "actors/serving_system.hpp"

#include "actors/behaviors.hpp"
#include "actors/hosted_serving.hpp"
#include "engine/kv/arriving_pages.hpp"
#include "engine/kv/file_tier.hpp"
#include "engine/kv/prefix_journal.hpp"
#include "engine/step_times.hpp"
#include "engine/thought_marks.hpp"
#include "engine/unix_time.hpp"
#include "policies/window_policy.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

namespace souffleur {

namespace {

/// Pool handlers take microseconds; two threads are enough and leave the cores to the verifier.
constexpr std::size_t n_pool_threads = 2;

struct serving_defaults : caf::actor_system_config {
  serving_defaults() { set_serving_defaults(*this); }
};

struct own_system {
  serving_defaults config;
  caf::actor_system system{config};
};

constexpr std::chrono::seconds kv_inquiry_timeout{2};
constexpr std::chrono::seconds tier_flush_timeout{2};
constexpr std::chrono::seconds purge_timeout{15};

class caf_serving_system final : public serving_system {
public:
  /// `host`: null: it has an actor system of its own.
  caf_serving_system(caf::actor_system* host, const serving_config& config, const loaded_model& loaded,
                     std::shared_ptr<file_tier> tier, page_exchange pages, const cluster_config& cluster,
                     std::shared_ptr<worker_network> network,
                     const std::function<void(const std::string&)>& on_give_up,
                     const death_listener& on_death, const trouble_listener& on_trouble)
      : vocabulary_(loaded.vocabulary), tier_(std::move(tier)), pages_(std::move(pages)),
        metrics_(std::make_shared<serving_metrics>(config.model_name)),
        vitals_(std::make_shared<vital_signs>(config.step_timeout)),
        credits_(std::make_shared<admission_credits>(config.max_running + config.max_waiting,
                                                     config.max_running + config.max_waiting_per_tenant)),
        embedding_credits_(
            std::make_shared<admission_credits>(config.max_embedding_texts, config.max_embedding_texts / 2)),
        request_timeout_(config.request_timeout), own_(host != nullptr ? nullptr : new own_system),
        system_(host != nullptr ? *host : own_->system) {
    model_.name = config.model_name;
    if (loaded.model) {
      model_.fingerprint = loaded.model->fingerprint();
      model_.context_length = loaded.model->context_length();
      model_.vocabulary_size = loaded.model->vocabulary_size();
      model_.weights_bytes = loaded.model->weights_bytes();
      model_.kv_page_bytes = loaded.model->page_bytes();
    } else {
      model_.fingerprint = loaded.outline.fingerprint;
      model_.context_length = loaded.outline.context_length;
      model_.vocabulary_size = loaded.outline.vocabulary_size;
    }
    model_.created_s = unix_now_s();
    const auto thoughts = find_thought_marks(*vocabulary_);
    model_.thinks = thoughts != nullptr;
    if (loaded.embedder)
      embedder_ = {config.embedder_name, loaded.embedder->fingerprint(), loaded.embedder->n_dimensions(),
                   loaded.embedder->max_ids()};
    rules_ = {config.cache_policy, config.cache_threshold, config.cache_max_error, loaded.calibration};
    metrics_->set_memory(loaded.memory);
    ensemble parts;
    parts.config = config;
    parts.config.has_draft_model = loaded.draft_model.model || loaded.remote_drafter;
    parts.model = loaded.model;
    parts.format = {loaded.vocabulary,
                    loaded.chat,
                    model_.fingerprint,
                    model_.context_length,
                    std::make_shared<grammar::grammar_library>(loaded.vocabulary),
                    thoughts};
    parts.metrics = metrics_;
    parts.tier = tier_;
    if (pages_.arrivals)
      parts.tier = pages_.arrivals;
    parts.journal = pages_.journal;
    parts.draft_model = loaded.draft_model;
    parts.remote_drafter = loaded.remote_drafter;
    parts.embedder = loaded.embedder;
    parts.store = loaded.store;
    parts.calibration = loaded.calibration;
    parts.credits = credits_;
    parts.network = std::move(network);
    parts.cluster = cluster;
    is_router_ = parts.network != nullptr;
    format_ = parts.format;
    if (loaded.model && config.draft_policy_in_force() != "off") {
      parts.costs.steps = measure_steps(*loaded.model);
      if (loaded.draft_model.model)
        parts.costs.draft_model_passes = measure_steps(*loaded.draft_model.model);
    }
    parts.vitals = vitals_;
    parts.on_death = on_death;
    parts.on_trouble = on_trouble;
    parts.give_up = [this, on_give_up](const std::string& why) {
      ready_ = false;
      if (on_give_up)
        on_give_up(why);
    };
    supervisor_ = system_.spawn(supervisor, std::move(parts));
  }

  ~caf_serving_system() override {
    stop();
    supervisor_ = nullptr;
    if (own_)
      system_.await_all_actors_done();
  }

  void stop() override {
    ready_ = false;
    if (stopped_.exchange(true))
      return;
    if (tier_)
      flush_tier();
    compat::anon_send(supervisor_, shutdown_order{});
    caf::scoped_actor waiting{system_};
    waiting->wait_for(supervisor_); // it ends after its parts
  }

  void submit(generation_request request, generation_sink sink) override {
    if (const auto admitted = credits_->take(request.tenant); admitted != admission::granted) {
      const bool by_tenant = admitted == admission::tenant_queue_full;
      sink(by_tenant
               ? generation_failed{429, "tenant_overloaded",
                                   "This tenant (Authorization header) has too many requests in the queue; "
                                   "try again later.",
                                   "", 1}
               : generation_failed{429, "overloaded", "The server's queue is full; try again later.", "", 1});
      return;
    }
    auto reply = std::make_shared<reply_handle>(std::move(sink), credits_, request.tenant);
    if (!ready()) {
      reply->fail({503, "shutting_down", "The server is shutting down.", "", 1});
      return;
    }
    compat::anon_send(supervisor_,
                      submission{std::make_shared<generation_request>(std::move(request)), std::move(reply)});
  }

  void submit_prepared(admitted_request request, generation_sink sink) override {
    request.reply = std::make_shared<reply_handle>(std::move(sink), nullptr, request.tenant);
    if (!ready_)
      return request.reply->fail({503, "shutting_down", "The server is shutting down.", "", 1});
    compat::anon_send(supervisor_,
                      admission_ptr{std::make_shared<const admitted_request>(std::move(request))});
  }

  const prompt_format& format() const override { return format_; }
  const page_exchange& pages() const override { return pages_; }

  void cancel(request_id id) override {
    if (ready_)
      compat::anon_send(supervisor_, cancellation{id});
  }

  void change(request_id id, const generation_change& change) override {
    if (ready_)
      compat::anon_send(supervisor_, amendment{id, change});
  }

  const served_embedder* embedder() const override { return embedder_ ? &*embedder_ : nullptr; }

  void embed(embedding_request request, embedding_sink sink) override {
    if (!embedder_)
      return sink(generation_failed{404, "no_embedding_model", "This server has no embedding model.", "", 0});
    const auto n_texts = static_cast<int>(request.texts.size());
    if (embedding_credits_->take(request.tenant, n_texts) != admission::granted)
      return sink(generation_failed{429, "overloaded", "Too many texts wait to be embedded; try again later.",
                                    "", 1});
    auto reply =
        std::make_shared<embedding_reply>(std::move(sink), embedding_credits_, request.tenant, n_texts);
    if (!ready()) {
      reply->fail({503, "shutting_down", "The server is shutting down.", "", 1});
      return;
    }
    const auto timeout =
        request.timeout.count() > 0 ? std::min(request.timeout, request_timeout_) : request_timeout_;
    compat::anon_send(supervisor_,
                      embedding_demand_ptr{std::make_shared<const embedding_demand>(embedding_demand{
                          std::move(request.texts), std::chrono::steady_clock::now() + timeout,
                          std::move(request.client), std::move(reply)})});
  }

  void forget_answers(const std::string& tenant, purge_sink sink) override {
    if (!ready_)
      return sink(std::nullopt);
    system_.spawn([supervisor = supervisor_, owner = cache_owner(tenant),
                   sink = std::move(sink)](caf::event_based_actor* asker) {
      compat::request(asker, supervisor, purge_timeout, cache_purge{owner})
          .then(
              [asker, sink](const cache_purged& purged) {
                sink(purged);
                asker->quit();
              },
              [asker, sink](const caf::error&) {
                sink(std::nullopt);
                asker->quit();
              });
    });
  }

  void drain() override { draining_ = true; }
  int in_flight() const override { return credits_->in_flight() + embedding_credits_->in_flight(); }
  void kill(const std::string& actor) override { compat::anon_send(supervisor_, kill_order{actor}); }
  const served_model& model() const override { return model_; }
  std::vector<token_id> tokenize(const std::string& text, bool parse_special) const override {
    return vocabulary_->encode(text, parse_special);
  }
  std::string detokenize(const std::vector<token_id>& tokens) const override {
    return vocabulary_->decode(tokens, true);
  }
  std::string metrics() const override {
    if (tier_)
      metrics_->record(tier_->counters());
    return metrics_->text();
  }
  serving_snapshot snapshot(std::uint64_t after_step, std::size_t most_steps) const override {
    return metrics_->snapshot(after_step, most_steps);
  }
  std::optional<request_trace> trace(request_id id, const std::string& tenant) const override {
    return metrics_->trace(id, tenant);
  }
  cache_rules rules() const override { return rules_; }
  service_health health() const override {
    auto health = vitals_->health(std::chrono::steady_clock::now());
    if (draining_ && health.is_ready) {
      health.is_ready = false;
      health.why = "the server is shutting down";
    }
    return health;
  }
  void ask_kv(int n_prefixes, kv_sink sink) override {
    if (!ready_)
      return sink(std::nullopt);
    if (is_router_) // its workers have the pages
      return sink(kv_summary{});
    system_.spawn([supervisor = supervisor_, tier = tier_, n_prefixes,
                   sink = std::move(sink)](caf::event_based_actor* asker) {
      compat::request(asker, supervisor, kv_inquiry_timeout, kv_inquiry{n_prefixes})
          .then(
              [asker, sink, tier](const kv_summary_ptr& found) {
                kv_summary summary = *found;
                if (tier)
                  summary.tier = tier->counters();
                sink(std::move(summary));
                asker->quit();
              },
              [asker, sink](const caf::error&) {
                sink(std::nullopt);
                asker->quit();
              });
    });
  }
  bool ready() const override { return ready_ && !draining_; }

private:
  void flush_tier() {
    caf::scoped_actor asker{system_};
    compat::request(&*asker, supervisor_, tier_flush_timeout, tier_flush{})
        .receive([](tier_flushed) {}, [](const caf::error&) {});
  }

  std::shared_ptr<const tokenizer> vocabulary_;
  std::shared_ptr<file_tier> tier_; ///< null: there is none
  page_exchange pages_;
  std::shared_ptr<serving_metrics> metrics_;
  std::shared_ptr<vital_signs> vitals_;
  std::shared_ptr<admission_credits> credits_;
  std::shared_ptr<admission_credits> embedding_credits_; ///< one a text
  std::chrono::milliseconds request_timeout_;
  served_model model_;
  prompt_format format_;
  bool is_router_ = false;
  cache_rules rules_;
  std::optional<served_embedder> embedder_; ///< nothing: there is none
  std::atomic<bool> ready_{true};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopped_{false};
  std::unique_ptr<own_system> own_; ///< null: the host's is used
  caf::actor_system& system_;
  supervisor_actor supervisor_; ///< must go before the system
};

/// Empty if the name is known, else the complaint.
template <class Policy>
std::string complaint(const std::unique_ptr<Policy>& made, const std::string& key, const std::string& name,
                      const std::string& known) {
  return made ? "" : key + ": unknown policy \"" + name + "\"; known: " + known;
}

std::string first_complaint(const serving_config& config) {
  for (const auto& text :
       {complaint(make_scheduling_policy(config.scheduling_policy), "scheduler.policy",
                  config.scheduling_policy, "fcfs, priority, lpm, deficit_lpm, deadline"),
        complaint(make_eviction_policy(config.eviction_policy), "kv.eviction", config.eviction_policy,
                  "lhd, gdsf, lru, lfu, fifo, slru" + registered_policies<eviction_policy>().names()),
        complaint(make_acceptance_policy(config.acceptance_policy), "speculation.acceptance",
                  config.acceptance_policy,
                  std::string{acceptance_names} + registered_policies<acceptance_policy>().names()),
        complaint(make_draft_policy(config.draft_policy), "speculation.policy", config.draft_policy,
                  std::string{draft_policy_names}),
        complaint(make_cache_policy(config.cache_policy), "cache.policy", config.cache_policy,
                  "off, exact, fixed, guarded, bounded"),
        complaint(make_answer_eviction(config.cache_eviction), "cache.eviction", config.cache_eviction,
                  "gdsf, lru, lfu"),
        complaint(make_window_policy(config.window_policy), "window.policy", config.window_policy,
                  "full, sinks")})
    if (!text.empty())
      return text;
  if (!drafters_named(config.drafter))
    return "speculation.drafter: unknown drafter \"" + config.drafter +
           "\"; known: " + std::string{drafter_names};
  return "";
}

std::string too_small(const std::string& key, int value, int least) {
  return value >= least ? ""
                        : key + " is " + std::to_string(value) + "; the least is " + std::to_string(least);
}

std::string first_bad_number(const serving_config& config, int n_model_pages) {
  for (const auto& text :
       {too_small("kv.pages", config.n_kv_pages, 2),
        too_small("scheduler.max_running", config.max_running, 1),
        too_small("scheduler.max_waiting", config.max_waiting, 0),
        too_small("scheduler.max_waiting_per_tenant", config.max_waiting_per_tenant, 0),
        // Every sequence that decodes has a row in every step.
        too_small("scheduler.max_batch_tokens", config.max_batch_tokens, config.max_running),
        too_small("scheduler.prefill_chunk", config.prefill_chunk, 1),
        too_small("scheduler.join_prefill_tokens", config.join_prefill_tokens, 1),
        too_small("scheduler.max_output_tokens", config.max_output_tokens, 1),
        too_small("speculation.max_draft", config.max_draft, 0),
        too_small("speculation.branches", config.n_draft_branches, 1),
        too_small("kv.tier_min_hits", config.tier_min_hits, 1)})
    if (!text.empty())
      return text;
  if (config.n_kv_pages > n_model_pages)
    return "kv.pages is " + std::to_string(config.n_kv_pages) + "; the model was loaded with " +
           std::to_string(n_model_pages);
  return "";
}

/// Null if there is to be none.
result<std::shared_ptr<file_tier>> open_tier(const serving_config& config, const language_model& model) {
  if (config.tier_folder == "off")
    return std::shared_ptr<file_tier>{};
  if (!config.prefix_cache)
    return failure{"kv.tier_folder: pages in files need kv.prefix_cache"};
  auto tier =
      file_tier::open({config.tier_folder, config.tier_max_bytes, model.page_format(), model.page_bytes()});
  return tier ? tier : failure{"kv.tier_folder: " + tier.error()};
}

page_exchange make_exchange(const serving_config& config, const language_model& model,
                            const std::shared_ptr<file_tier>& tier) {
  return {
      std::make_shared<prefix_journal>(),
      std::make_shared<arriving_pages>(
          arriving_pages_options{model.page_format(), model.page_bytes(), config.max_arriving_bytes}, tier)};
}

result<std::unique_ptr<serving_system>>
start_serving(caf::actor_system* host, const serving_config& config, const cluster_config& cluster,
              const loaded_model& loaded, std::shared_ptr<worker_network> network,
              const std::function<void(const std::string&)>& on_give_up, const death_listener& on_death,
              const trouble_listener& on_trouble) {
  if (auto why = first_complaint(config); !why.empty())
    return failure{why};
  if (auto why = first_bad_number(config, loaded.model ? loaded.model->n_pages() : config.n_kv_pages);
      !why.empty())
    return failure{why};
  if (make_cache_policy(config.cache_policy)->mode() == cache_mode::semantic && !loaded.embedder)
    return failure{"cache.policy: \"" + config.cache_policy +
                   "\" compares questions by meaning, which needs an embedding model"};
  if (auto why = complaint(make_routing_policy(cluster.policy), "cluster.policy", cluster.policy,
                           std::string{routing_policy_names} + registered_policies<routing_policy>().names());
      !why.empty())
    return failure{why};
  auto tier = loaded.model ? open_tier(config, *loaded.model) : std::shared_ptr<file_tier>{};
  if (!tier)
    return failure{tier.error()};
  auto pages = loaded.model && config.exchanges_pages && config.prefix_cache
                   ? make_exchange(config, *loaded.model, *tier)
                   : page_exchange{};
  return std::unique_ptr<serving_system>{
      std::make_unique<caf_serving_system>(host, config, loaded, std::move(*tier), std::move(pages), cluster,
                                           std::move(network), on_give_up, on_death, on_trouble)};
}

} // namespace

result<std::unique_ptr<serving_system>>
serving_system::start(const serving_config& config, loaded_model loaded,
                      std::function<void(const std::string&)> on_give_up, const death_listener& on_death,
                      const trouble_listener& on_trouble) {
  return start_serving(nullptr, config, {}, loaded, nullptr, on_give_up, on_death, on_trouble);
}

result<std::unique_ptr<serving_system>>
serving_system::start_router(const serving_config& config, const cluster_config& cluster, loaded_model loaded,
                             std::shared_ptr<worker_network> network,
                             std::function<void(const std::string&)> on_give_up,
                             const death_listener& on_death, const trouble_listener& on_trouble) {
  return start_serving(nullptr, config, cluster, loaded, std::move(network), on_give_up, on_death,
                       on_trouble);
}

result<std::unique_ptr<serving_system>> start_serving_in(caf::actor_system& host,
                                                         const serving_config& config, loaded_model loaded,
                                                         std::function<void(const std::string&)> on_give_up,
                                                         const death_listener& on_death,
                                                         const trouble_listener& on_trouble) {
  return start_serving(&host, config, {}, loaded, nullptr, on_give_up, on_death, on_trouble);
}

void set_serving_defaults(caf::actor_system_config& config) {
  // Work stealing lets a message wait behind its sender's computation for milliseconds.
#ifdef SOUFFLEUR_CAF_017
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", n_pool_threads);
#else
  config.set("caf.scheduler.policy", "sharing");
  config.set("caf.scheduler.max-threads", n_pool_threads);
#endif
}

} // namespace souffleur
