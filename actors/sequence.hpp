// One request while it runs: its tokens, its pages, its text.
#pragma once

#include "actors/messages/admission.hpp"
#include "actors/messages/draft.hpp"
#include "engine/text_stream.hpp"
#include "policies/draft_estimate.hpp"
#include "policies/thought.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace souffleur {

/// Invariant: n_computed ≤ tokens.size() - 1 while running; positions [0, n_computed) have verified KV in
/// `pages`, but for the n_dropped after the sinks.
struct sequence {
  sequence(admitted_request admitted, std::shared_ptr<const tokenizer> vocabulary);

  sequence_id id() const { return request.id; }
  int n_tokens() const { return static_cast<int>(tokens.size()); }
  int n_output() const { return n_tokens() - n_prompt; }
  int n_pending() const { return n_tokens() - n_computed; }
  bool decodes() const { return n_pending() == 1 && n_output() > 0; }
  /// Its thought is as long as it may be: what closes it comes next.
  bool thinks_too_long() const {
    const int n_most = request.sampling->max_thinking_tokens;
    return thought && thought->is_open() && n_most >= 0 && thought->n_tokens() >= n_most;
  }
  int n_remaining() const { return request.sampling->max_tokens - n_output(); }
  /// Positions from 0 that `pages` has room for, what was dropped included.
  int n_covered() const { return n_dropped + static_cast<int>(pages.size()) * page_tokens; }
  /// What is to be dropped before the row at n_computed is computed.
  int n_to_drop() const { return window->n_dropped(request.window, n_computed); }
  /// The first position after n_computed that sees less from its own, if it is within `n_rows`.
  int end_of_view(int n_rows) const;
  /// Whether the next row can be computed from `pages`.
  bool has_room() const { return n_dropped == n_to_drop() && n_covered() > n_computed; }
  /// While drafts do not pay nobody is told of `successors`; then so many are kept, the newest: more than one
  /// step has.
  static constexpr std::size_t most_successors = 128;
  void keep_successors(std::span<const token_successors> more);
  /// Forgets pages and KV; the tokens stay, so the sequence can be computed again.
  void lose_kv();

  admitted_request request;
  text_stream text;
  std::optional<grammar::grammar_cursor> grammar; ///< behind the output
  std::optional<thought_reader> thought;          ///< none: it has none, whatever it says
  std::vector<token_id> tokens;                   ///< prompt, then committed output
  int n_prompt = 0;
  int n_computed = 0;
  int n_charged = 0; ///< highest n_computed so far: what is computed again is not the tenant's fault
  int n_published_pages = 0;
  std::vector<page_id> pages;
  std::unique_ptr<window_policy> window;
  int n_dropped = 0;          ///< positions that `pages` leaves out
  page_id partial = -1;       ///< to be copied to the page of n_computed before that is computed, if any
  std::vector<page_id> sinks; ///< as they were computed, once some are left out
  int n_turned = 0;           ///< the n_dropped that the sinks in `pages` are turned for

  int n_cached_estimate = 0;      ///< while waiting: tokens whose KV would be found
  std::uint64_t estimated_at = 0; ///< number of the round; 0: never
  int n_passed_over = 0;          ///< how often somebody later got a place, or rows for its prompt
  int n_sat_out = 0;              ///< steps in succession in which the policy gave it no rows

  int n_draft_wished = 0; ///< this round
  int n_known_to_drafter = 0;
  int n_known_to_draft_model = 0;
  int n_in_draft_model = 0;                     ///< tokens whose KV it has
  int n_wished_of_model = 0;                    ///< drafted tokens, when it was last asked; 0: it never was
  int n_asked_of_model = 0;                     ///< the same, if it answered for the step under way; else 0
  std::shared_ptr<const draft_subject> subject; ///< null where nobody drafts
  int n_successors = 0;                         ///< likely tokens that its drafter is to know of each row
  std::vector<token_successors> successors;     ///< which it does not know yet
  draft_record drafts;                          ///< how they fared

  /// It was resumed behind its last token: what is missing is its end.
  bool has_said_all() const {
    return n_output() > 0 && (text.stopped() || (grammar && grammar->is_over()) || n_remaining() <= 0);
  }

  std::shared_ptr<token_counts> counts; ///< null without penalties
  generation_usage usage;
  bool ever_admitted = false;
  bool ever_sampled = false; ///< here: what was delivered before is somebody else's
  steady_time admitted_at{};
  steady_time first_token_at{};
  std::optional<steady_time> last_token_at;

private:
  /// One more of the delivered tokens, as if it had been sampled.
  void resume_with(token_id token);
};

} // namespace souffleur
