// Which drafts get rows in a step, and how many.
#pragma once

#include "policies/draft_estimate.hpp"
#include "policies/step_cost.hpp"

#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur {

/// What the policy may look at before anybody drafts.
struct draft_situation {
  int n_rows = 1;             ///< of the step without drafts, as far as is known
  int max_draft_tokens = 0;   ///< the request's and the configuration's cap
  int n_remaining_tokens = 0; ///< output tokens that the request may still get
  std::string_view policy{};  ///< that the request names; empty: the server's
};

/// Most rows of a sequence in a pass of a draft model that keeps up with it: what stood of its last draft,
/// and the token after it. With more it catches up.
inline constexpr int draft_pass_rows = 9;

/// What several drafters propose for one sequence, and how many tokens of it may get rows.
struct draft_candidate {
  std::span<const draft_tree> drafts;
  int n_most = 0;
  draft_record* record = nullptr; ///< the request's; never null
  int n_most_of_model = 0;        ///< that the draft model may be asked for
  int n_behind_model = 0;         ///< tokens that it has to compute before it can draft
  int n_remaining_tokens = 0;     ///< output tokens that the request may still get
  std::string_view policy{};      ///< that the request names; empty: the server's
};

/// One of a candidate's drafts, from its beginning.
struct draft_choice {
  int which = 0;
  int n_tokens = 0; ///< 0: none of them
};

/// A step before drafts are added to it.
struct step_shape {
  int n_rows = 0;     ///< all of them
  int n_decoding = 0; ///< rows that are sure to bring a token
};

/// Remembers what it is told of steps and drafts; one thread calls it at a time.
class draft_policy {
public:
  virtual ~draft_policy() = default;
  virtual std::string_view name() const = 0;
  /// Number of tokens to ask the drafters for: 0 ≤ result ≤ min(max_draft_tokens, n_remaining_tokens - 1).
  virtual int n_wished(const draft_situation& now) const = 0;
  /// What gets rows: one draft of each candidate, n_tokens ≤ n_most.
  virtual std::vector<draft_choice> choose(std::span<const draft_candidate> candidates,
                                           const step_shape& step) = 0;
  /// `emitted` is what followed the text that the draft was proposed for, chosen or not.
  virtual void observe(const draft_tree& /*draft*/, std::span<const token_id> /*emitted*/,
                       draft_record& /*of_request*/) {}
  virtual void step_took(const step_time& /*step*/) {}

  /// Number of tokens to ask the draft model for, of each candidate, beside the drafts that it has already: a
  /// pass of that model for each token, all candidates together. 0 ≤ result ≤ n_most_of_model.
  virtual std::vector<int> n_asked_of_model(std::span<const draft_candidate> candidates,
                                            const step_shape& step) = 0;
  /// What came of one candidate's question; the draft may be empty.
  virtual void observe_model(int /*n_asked*/, const draft_tree& /*draft*/,
                             std::span<const token_id> /*emitted*/, draft_record& /*of_request*/) {}
  /// `pass.n_rows` sequences in one pass of the draft model.
  virtual void model_took(const step_time& /*pass*/) {}
  /// Another draft model takes the place of the one before: what its passes were measured to take.
  virtual void model_measured(std::span<const step_time> /*passes*/) {}
};

/// What steps take here, as far as anybody knows yet.
struct known_costs {
  std::vector<step_time> steps{};
  std::vector<step_time> draft_model_passes{};
};

/// Null if the name is unknown.
std::unique_ptr<draft_policy> make_draft_policy(std::string_view name, const known_costs& measured = {});
inline constexpr std::string_view draft_policy_names = "adaptive, fixed, off";

} // namespace souffleur
