// How many rows a step spends on drafts, and on whose.
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
};

/// A drafted chain, and how much of it may get rows.
struct draft_candidate {
  const draft_tree* draft = nullptr; ///< null: there is none
  int n_most = 0;                    ///< at most the draft's tokens
  draft_record* record = nullptr;    ///< the request's; never null
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
  /// Whether it is worth measuring what steps take before it is made.
  virtual bool counts_costs() const { return false; }
  /// Number of tokens to ask the drafters for: 0 ≤ result ≤ min(max_draft_tokens, n_remaining_tokens - 1).
  virtual int n_wished(const draft_situation& now) const = 0;
  /// How many tokens of each draft, from its beginning, get rows: 0 ≤ result[i] ≤ drafts[i].n_most.
  virtual std::vector<int> n_planned(std::span<const draft_candidate> drafts,
                                     const step_shape& step) const = 0;
  /// A draft's first `n_verified` tokens got rows, `n_accepted` of them stood.
  virtual void verified(const draft_tree& /*draft*/, int /*n_verified*/, int /*n_accepted*/,
                        draft_record& /*of_request*/) {}
  virtual void step_took(const step_time& /*step*/) {}
};

/// Names: "fixed", "adaptive", "off". Null if the name is unknown. `measured`: what steps take here, for
/// those that count costs; empty if nobody knows yet.
std::unique_ptr<draft_policy> make_draft_policy(std::string_view name,
                                                std::span<const step_time> measured = {});

} // namespace souffleur
