// The conversation between a client's connection and the serving actors: one generation, from request to last
// token.
#pragma once

#include "engine/grammar/output_grammar.hpp"
#include "engine/kv_manager.hpp"
#include "engine/sampler.hpp"
#include "engine/sampling_params.hpp"
#include "policies/cacheability.hpp"
#include "policies/retention.hpp"
#include "policies/token.hpp"

#include <boost/json/array.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace souffleur {

/// Names one generation between net and actors; chosen by net, never reused within a process.
using request_id = std::uint64_t;

struct chat_prompt {
  boost::json::array messages;
  boost::json::array tools;
};
struct text_prompt {
  std::string text;
};
struct token_prompt {
  std::vector<token_id> tokens;
};

inline constexpr int most_draft_branches = 8;

/// `souffleur.speculation` of a request.
struct speculation_options {
  bool enabled = true;
  std::optional<int> max_draft;
  std::optional<int> n_branches; ///< most drafted tokens that may follow one token
  std::string policy;            ///< one of draft_policy_names; empty: the server's
  std::string drafter;           ///< one of drafter_names; empty: the server's
  std::string acceptance;        ///< name of an acceptance_policy; empty: the server's
};

/// `souffleur.attention_sinks` and `souffleur.attention_window` of a request: what it may see, in positions.
struct attention_options {
  std::optional<int> n_sinks;
  std::optional<int> n_window;
};

/// What the answer has to look like, and the parameter of the request that says so.
struct output_constraint {
  grammar::output_grammar grammar;
  std::string parameter;
};

/// One generation. `n > 1` of OpenAI arrives as n requests with seeds of their own.
struct generation_request {
  request_id id = 0;
  std::string tenant;
  std::variant<chat_prompt, text_prompt, token_prompt> prompt;
  sampling_params sampling;
  bool max_tokens_given = false; ///< else: as many as the context allows, bounded by configuration
  bool seed_given = false;
  speculation_options speculation;
  std::string prediction; ///< what the answer is expected to be
  std::optional<output_constraint> output;
  attention_options attention;
  retention_wish retention{}; ///< of its prompt and its answer in the prefix cache
  cache_wish cache{};
  double replay_tokens_per_s = -1; ///< of a stored answer; 0: at once; < 0: the server's
  int n_choices = 1;               ///< that the client asked for with the same request
  int priority = 0;
  bool trace = false;                   ///< `souffleur.trace`: deltas tell of their steps
  std::chrono::milliseconds timeout{0}; ///< from arrival to the last token; 0: the configuration's
};

/// The prompt is tokenised and admitted.
struct generation_accepted {
  int n_prompt_tokens = 0;
  std::uint64_t seed = 0;
};

struct generated_token {
  token_id id = 0;
  token_origin origin = token_origin::model;
  std::string bytes;                      ///< the token's own bytes
  std::string text;                       ///< what may be shown now that this token is known
  std::optional<token_logprobs> logprobs; ///< if asked for
};

/// A verifier step as one of its generations sees it.
struct step_trace {
  int n_rows = 0; ///< of all that were computed together
  int n_drafted = 0;
  int n_accepted = 0;
  token_origin drafter = token_origin::model; ///< `model`: nobody drafted
  double ms = 0;                              ///< forward pass and sampling
};

/// What one step made. Texts are whole UTF-8 characters, and empty while a stop string could still begin.
struct generation_delta {
  std::vector<generated_token> tokens;
  std::string tail; ///< text held back until the end turned out not to be a stop string
  /// If asked for; then a step that brings no token to show has its delta, too.
  std::optional<step_trace> step{};

  std::string text() const {
    std::string all;
    for (const auto& token : tokens)
      all += token.text;
    return all + tail;
  }
};

/// `deadline`: its time ran out; what was made until then was delivered, be it nothing.
enum class finish_reason : std::uint8_t { stop, length, cancelled, deadline };

constexpr const char* to_string(finish_reason reason) {
  switch (reason) {
  case finish_reason::stop:
    return "stop";
  case finish_reason::length:
    return "length";
  case finish_reason::cancelled:
    return "cancelled";
  case finish_reason::deadline:
    return "deadline";
  }
  return "stop";
}

/// Where an answer came from.
enum class answer_source : std::uint8_t {
  model,   ///< generated for this request
  flight,  ///< generated for another one that is the same and came before
  exact,   ///< stored, of the same request
  semantic ///< stored, of a request that means the same
};
inline constexpr int n_answer_sources = 4;

constexpr const char* to_string(answer_source source) {
  constexpr const char* names[n_answer_sources] = {"model", "flight", "exact", "semantic"};
  return names[static_cast<int>(source)];
}

struct generation_usage {
  int n_prompt_tokens = 0;
  int n_cached_tokens = 0; ///< of the prompt, found in the prefix cache
  int n_output_tokens = 0;
  int n_drafted_tokens = 0;
  int n_accepted_tokens = 0; ///< drafted tokens that stood
  int n_steps = 0;           ///< verifier steps that this generation took part in after prefill
  double queue_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
  bool lossy = false; ///< drafts may have changed what was said
  answer_source source = answer_source::model;
  double similarity = 0;    ///< of the stored question that is nearest, if one was looked for
  int n_thought_tokens = 0; ///< of n_output_tokens
};

struct generation_finished {
  finish_reason reason = finish_reason::stop;
  std::string stop_string; ///< the stop string met, if one was
  generation_usage usage;
};

/// `status` is an HTTP status; `code`, `parameter` as in OpenAI's error object (may be empty).
struct generation_failed {
  int status = 500;
  std::string code;
  std::string message;
  std::string parameter;
  int retry_after_s = 0; ///< with 429 and 503
};

using generation_event =
    std::variant<generation_accepted, generation_delta, generation_finished, generation_failed>;

/// What a client may change of a generation under way.
struct generation_change {
  std::optional<int> max_tokens; ///< of the answer, those made included
  std::optional<int> priority;
  bool stop_thinking = false; ///< its thought ends, now or, if it has not begun, when it begins
};

/// Called on an actor's thread, in order: [accepted, delta*, finished] or any prefix of it followed by
/// failed. Exactly one of finished and failed comes, and nothing after it. Must not block: post and return.
using generation_sink = std::function<void(generation_event)>;

/// What became of the order to forget a tenant's answers.
struct cache_purged {
  std::size_t n_entries = 0;
  bool store_did = true; ///< false: the store did not carry it out
};

/// Called once, on an actor's thread or at once: with nothing if the kv manager does not answer in time. Must
/// not block.
using kv_sink = std::function<void(std::optional<kv_summary>)>;

/// Called once: with nothing if the cache does not answer in time. Must not block.
using purge_sink = std::function<void(std::optional<cache_purged>)>;

/// What a model list entry and a tokeniser endpoint need.
struct served_model {
  std::string name;
  std::string fingerprint;
  int context_length = 0;
  int vocabulary_size = 0;
  std::int64_t created_s = 0; ///< Unix time at which the server started
  std::size_t weights_bytes = 0;
  std::size_t kv_page_bytes = 0;
  bool thinks = false; ///< before it answers
};

/// The serving actors as seen from outside: plain C++, callable from any thread.
class generation_service {
public:
  virtual ~generation_service() = default;
  virtual void submit(generation_request request, generation_sink sink) = 0;
  /// Ends a generation; its sink gets finished{cancelled} unless it has ended already.
  virtual void cancel(request_id id) = 0;
  /// From the next step on, within the configuration's bounds. Nothing happens to a generation that has
  /// ended, nor to one whose answer goes to others, too.
  virtual void change(request_id id, const generation_change& change) = 0;
  virtual const served_model& model() const = 0;
  virtual std::vector<token_id> tokenize(const std::string& text, bool parse_special) const = 0;
  virtual std::string detokenize(const std::vector<token_id>& tokens) const = 0;
  /// Prometheus text.
  virtual std::string metrics() const = 0;
  /// A summary with at most `n_prefixes` of the cached prefixes.
  virtual void ask_kv(int n_prefixes, kv_sink sink) = 0;
  /// Forgets all answers that the response cache keeps for a tenant.
  virtual void forget_answers(const std::string& tenant, purge_sink sink) = 0;
  /// False while starting, draining or restarting what cannot be done without.
  virtual bool ready() const = 0;
};

} // namespace souffleur
