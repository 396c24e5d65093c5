// How the cluster's messages travel: their fields, for CAF's serialisers, and their names. Include this only
// in .cpp files of this folder.
#pragma once

#include "actors/caf_compat.hpp"
#include "actors/messages/cluster.hpp"

#include <caf/meta/load_callback.hpp>
#include <caf/meta/type_name.hpp>

#include <optional>
#include <vector>

namespace souffleur {

/// CAF 0.17 knows no std::optional: a list of at most one.
template <class T>
std::vector<T> as_list(const std::optional<T>& value) {
  return value ? std::vector<T>{*value} : std::vector<T>{};
}
template <class T>
void from_list(std::vector<T>& list, std::optional<T>& value) {
  value.reset();
  if (!list.empty())
    value = std::move(list.front());
}

template <class Inspector>
auto inspect(Inspector& f, worker_hello& x) {
  return f(caf::meta::type_name("worker_hello"), x.protocol, x.nonce);
}
template <class Inspector>
auto inspect(Inspector& f, router_challenge& x) {
  return f(caf::meta::type_name("router_challenge"), x.nonce, x.proof);
}
template <class Inspector>
auto inspect(Inspector& f, worker_profile& x) {
  return f(caf::meta::type_name("worker_profile"), x.model_name, x.computes, x.fingerprint, x.n_kv_tokens,
           x.max_running, x.address, x.serves);
}
template <class Inspector>
auto inspect(Inspector& f, worker_proof& x) {
  return f(caf::meta::type_name("worker_proof"), x.proof, x.profile);
}
template <class Inspector>
auto inspect(Inspector& f, registration& x) {
  return f(caf::meta::type_name("registration"), x.why, x.n_credits);
}

template <class Inspector>
auto inspect(Inspector& f, sampling_params& x) {
  return f(caf::meta::type_name("sampling_params"), x.temperature, x.top_k, x.top_p, x.min_p,
           x.repetition_penalty, x.presence_penalty, x.frequency_penalty, x.logit_bias, x.seed, x.n_logprobs,
           x.max_tokens, x.max_thinking_tokens, x.min_tokens, x.ignore_eos, x.stop, x.stop_token_ids);
}
template <class Inspector>
auto inspect(Inspector& f, speculation_options& x) {
  auto max_draft = as_list(x.max_draft);
  auto n_branches = as_list(x.n_branches);
  const auto loaded = [&]() -> caf::error {
    from_list(max_draft, x.max_draft);
    from_list(n_branches, x.n_branches);
    return caf::none;
  };
  return f(caf::meta::type_name("speculation_options"), x.enabled, max_draft, n_branches, x.policy, x.drafter,
           x.acceptance, caf::meta::load_callback(loaded));
}
namespace grammar {
template <class Inspector>
auto inspect(Inspector& f, output_grammar& x) {
  auto in = static_cast<std::uint8_t>(x.in);
  const auto loaded = [&]() -> caf::error {
    if (in > static_cast<std::uint8_t>(language::tool_calls))
      return caf::sec::invalid_argument;
    x.in = static_cast<language>(in);
    return caf::none;
  };
  return f(caf::meta::type_name("output_grammar"), in, x.source, caf::meta::load_callback(loaded));
}
} // namespace grammar
template <class Inspector>
auto inspect(Inspector& f, window_limits& x) {
  return f(caf::meta::type_name("window_limits"), x.n_sinks, x.n_window);
}
template <class Inspector>
auto inspect(Inspector& f, retention_wish& x) {
  return f(caf::meta::type_name("retention_wish"), x.priority, x.pinned, x.ttl_s);
}
template <class Inspector>
auto inspect(Inspector& f, generation_change& x) {
  auto max_tokens = as_list(x.max_tokens);
  auto priority = as_list(x.priority);
  const auto loaded = [&]() -> caf::error {
    from_list(max_tokens, x.max_tokens);
    from_list(priority, x.priority);
    return caf::none;
  };
  return f(caf::meta::type_name("generation_change"), max_tokens, priority, x.stop_thinking,
           caf::meta::load_callback(loaded));
}
template <class Inspector>
auto inspect(Inspector& f, stream_order& x) {
  auto output = as_list(x.output);
  const auto loaded = [&]() -> caf::error {
    from_list(output, x.output);
    return caf::none;
  };
  return f(caf::meta::type_name("stream_order"), x.attempt, x.tenant, x.prompt, x.delivered, x.sampling,
           x.speculation, x.is_lossy, x.prediction, output, x.thinks, x.window_policy, x.window, x.retention,
           x.priority, x.most_tokens, x.time_left_ms, caf::meta::load_callback(loaded));
}
template <class Inspector>
auto inspect(Inspector& f, stream_cancel& x) {
  return f(caf::meta::type_name("stream_cancel"), x.attempt);
}
template <class Inspector>
auto inspect(Inspector& f, stream_change& x) {
  return f(caf::meta::type_name("stream_change"), x.attempt, x.change);
}
template <class Inspector>
auto inspect(Inspector& f, stream_postponement& x) {
  return f(caf::meta::type_name("stream_postponement"), x.attempt, x.time_left_ms);
}
template <class Inspector>
auto inspect(Inspector& f, batch_credit& x) {
  return f(caf::meta::type_name("batch_credit"), x.n);
}
template <class Inspector>
auto inspect(Inspector& f, orders_void&) {
  return f(caf::meta::type_name("orders_void"));
}

template <class Inspector>
auto inspect(Inspector& f, prefill_order& x) {
  return f(caf::meta::type_name("prefill_order"), x.attempt, x.tenant, x.prompt, x.first_page, x.priority,
           x.time_left_ms);
}
template <class Inspector>
auto inspect(Inspector& f, shipped_page& x) {
  return f(caf::meta::type_name("shipped_page"), x.attempt, x.format, x.name, x.checksum, x.bytes);
}
template <class Inspector>
auto inspect(Inspector& f, page_receipt& x) {
  return f(caf::meta::type_name("page_receipt"), x.attempt, x.n_pages, x.why);
}
template <class Inspector>
auto inspect(Inspector& f, prefill_ended& x) {
  return f(caf::meta::type_name("prefill_ended"), x.attempt, x.why);
}

template <class Inspector>
auto inspect(Inspector& f, token_logprobs& x) {
  return f(caf::meta::type_name("token_logprobs"), x.chosen, x.top);
}
template <class Inspector>
auto inspect(Inspector& f, generated_token& x) {
  auto origin = static_cast<std::uint8_t>(x.origin);
  auto logprobs = as_list(x.logprobs);
  const auto loaded = [&]() -> caf::error {
    if (origin >= n_token_origins)
      return caf::sec::invalid_argument;
    x.origin = static_cast<token_origin>(origin);
    from_list(logprobs, x.logprobs);
    return caf::none;
  };
  return f(caf::meta::type_name("generated_token"), x.id, origin, x.text, logprobs,
           caf::meta::load_callback(loaded)); // the router has the bytes in its vocabulary
}
template <class Inspector>
auto inspect(Inspector& f, step_trace& x) {
  auto drafter = static_cast<std::uint8_t>(x.drafter);
  const auto loaded = [&]() -> caf::error {
    if (drafter >= n_token_origins)
      return caf::sec::invalid_argument;
    x.drafter = static_cast<token_origin>(drafter);
    return caf::none;
  };
  return f(caf::meta::type_name("step_trace"), x.n_rows, x.n_drafted, x.n_accepted, drafter, x.ms,
           caf::meta::load_callback(loaded));
}
template <class Inspector>
auto inspect(Inspector& f, generation_delta& x) {
  auto step = as_list(x.step);
  const auto loaded = [&]() -> caf::error {
    from_list(step, x.step);
    return caf::none;
  };
  return f(caf::meta::type_name("generation_delta"), x.tokens, x.tail, step,
           caf::meta::load_callback(loaded));
}
/// What a router counts itself stays behind.
template <class Inspector>
auto inspect(Inspector& f, generation_usage& x) {
  return f(caf::meta::type_name("generation_usage"), x.n_cached_tokens, x.n_output_tokens, x.n_thought_tokens,
           x.queue_ms);
}
template <class Inspector>
auto inspect(Inspector& f, generation_finished& x) {
  auto reason = static_cast<std::uint8_t>(x.reason);
  const auto loaded = [&]() -> caf::error {
    if (reason > static_cast<std::uint8_t>(finish_reason::deadline))
      return caf::sec::invalid_argument;
    x.reason = static_cast<finish_reason>(reason);
    return caf::none;
  };
  return f(caf::meta::type_name("generation_finished"), reason, x.stop_string, x.usage,
           caf::meta::load_callback(loaded));
}
template <class Inspector>
auto inspect(Inspector& f, generation_failed& x) {
  return f(caf::meta::type_name("generation_failed"), x.status, x.code, x.message, x.parameter,
           x.retry_after_s);
}
template <class Inspector>
auto inspect(Inspector& f, stream_progress& x) {
  auto finished = as_list(x.finished);
  auto failed = as_list(x.failed);
  const auto loaded = [&]() -> caf::error {
    from_list(finished, x.finished);
    from_list(failed, x.failed);
    return caf::none;
  };
  return f(caf::meta::type_name("stream_progress"), x.attempt, x.delta, x.n_steps, x.is_handed_over, finished,
           failed, caf::meta::load_callback(loaded));
}
template <class Inspector>
auto inspect(Inspector& f, step_batch& x) {
  return f(caf::meta::type_name("step_batch"), x.streams);
}
template <class Inspector>
auto inspect(Inspector& f, worker_status& x) {
  return f(caf::meta::type_name("worker_status"), x.n_running, x.is_draining, x.added, x.removed);
}

} // namespace souffleur

CAF_BEGIN_TYPE_ID_BLOCK(souffleur_cluster, first_custom_type_id)
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::worker_hello))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::router_challenge))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::worker_proof))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::registration))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::stream_order))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::stream_cancel))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::stream_change))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::stream_postponement))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::batch_credit))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::orders_void))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::step_batch))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::worker_status))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::prefill_order))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::shipped_page))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::page_receipt))
CAF_ADD_TYPE_ID(souffleur_cluster, (souffleur::prefill_ended))
CAF_END_TYPE_ID_BLOCK(souffleur_cluster)
