// One request while it runs: its tokens, its pages, its text.
#pragma once

#include "actors/messages/admission.hpp"
#include "actors/messages/response_cache.hpp"
#include "engine/text_stream.hpp"

#include <memory>
#include <vector>

namespace souffleur {

/// Invariant: n_computed ≤ tokens.size() - 1 while running; positions [0, n_computed) have verified KV in
/// `pages`.
struct sequence {
  sequence(admitted_request admitted, std::shared_ptr<const tokenizer> vocabulary);

  sequence_id id() const { return request.id; }
  int n_tokens() const { return static_cast<int>(tokens.size()); }
  int n_output() const { return n_tokens() - n_prompt; }
  int n_pending() const { return n_tokens() - n_computed; }
  bool decodes() const { return n_pending() == 1 && n_output() > 0; }
  int n_remaining() const { return request.sampling->max_tokens - n_output(); }
  int n_covered() const { return static_cast<int>(pages.size()) * page_tokens; }
  /// Forgets pages and KV; the tokens stay, so the sequence can be computed again.
  void lose_kv();

  admitted_request request;
  text_stream text;
  std::vector<token_id> tokens; ///< prompt, then committed output
  int n_prompt = 0;
  int n_computed = 0;
  int n_published_pages = 0;
  std::vector<page_id> pages;

  int n_draft_wished = 0; ///< this round
  int n_known_to_drafter = 0;
  double recently_proposed = 0; ///< decayed counts of drafted tokens
  double recently_accepted = 0;

  std::shared_ptr<token_counts> counts; ///< null without penalties
  stored_answer answer;                 ///< filled only if it may be stored
  generation_usage usage;
  bool ever_admitted = false;
  steady_time admitted_at{};
  steady_time first_token_at{};
};

} // namespace souffleur
