// What an answer depends on, and the two names that follow from it: of the very same request, and of all
// requests that differ in the wording of the last question only.
#pragma once

#include "policies/key_digest.hpp"
#include "policies/token.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souffleur {

/// One message of a conversation.
struct cache_turn {
  std::string role;
  std::string text;  ///< its content
  std::string extra; ///< whatever else the template is given of it (name, tool calls), as JSON
};

/// The sampling settings that can change an answer. Defaults are those of `sampling_params`.
struct cache_sampling {
  double temperature = 1;
  int top_k = 0; ///< 0 is off
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  std::vector<std::pair<token_id, double>> logit_bias;
  std::uint64_t seed = 0;
  std::string acceptance; ///< of drafts: it decides which of the equally likely answers is drawn
  int n_logprobs = -1;
  int max_tokens = 0;
  int min_tokens = 0;
  int max_thinking_tokens = -1;
  bool ignore_eos = false;
  std::vector<std::string> stop;
  std::vector<token_id> stop_token_ids;
  bool operator==(const cache_sampling&) const = default;
};

/// Everything that decides an answer. What does not (streaming, priority, deadline, a client's name for the
/// request, drafting as such) has no place here.
struct cache_subject {
  std::string tenant;
  std::string model; ///< fingerprint of weights, tokeniser, template and adapter
  cache_sampling sampling;
  int n_sinks = 0; ///< of a window, if the sequence has one
  int n_window = 0;
  std::string tools;           ///< as JSON; empty: none
  std::string response_format; ///< as JSON; empty: text
  std::vector<cache_turn> turns;
  std::vector<token_id> prompt; ///< as the model gets it: the turns through the template
};

struct cache_key {
  key_digest exact;
  key_digest partition; ///< of everything but the text of the last turn
  std::string text; ///< of the last turn, as `canonical_text` has it; empty: nothing to compare by meaning
};

/// The settings as they matter:
///  1. greedy (temperature 0): top_k, top_p, min_p, seed and acceptance change nothing, so they are as by
///     default;
///  2. a top_k below 0 is off;
///  3. a bias of 0 is none, and the order of tokens is not theirs (of two biases of one token it is);
///  4. stop strings and stop tokens are sets; an empty string stops nothing.
cache_sampling canonical(cache_sampling sampling);

/// The text as it is embedded and compared. Nothing that a reader would call another question is changed:
///  1. line ends, tabs, no-break and other blanks are blanks, one is as good as many, and none at either end;
///  2. typographic quotes, dashes and ellipses are those of ASCII;
///  3. between code fences (```) everything stays as it is.
/// Applied twice it changes nothing more. The exact key knows no such rules: it covers the tokens.
std::string canonical_text(std::string_view text);

cache_key key_of(const cache_subject& subject);

/// Names a tenant where answers outlive the process or are shared, without saying who it is.
key_digest cache_owner(std::string_view tenant);

} // namespace souffleur
