// The conversation between scheduler and drafters.
#pragma once

#include "engine/drafting/drafter_set.hpp"
#include "engine/sampling_params.hpp"
#include "policies/distribution.hpp"
#include "policies/draft_tree.hpp"
#include "policies/step_cost.hpp"

#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// What stays the same of a sequence.
struct draft_subject {
  std::string tenant;
  int n_prompt = 0;                 ///< how many of its tokens are the prompt
  drafter_set drafters;             ///< those that draft for it
  int n_branches = 1;               ///< most drafted tokens that may follow one token
  std::vector<token_id> prediction; ///< what its client expects to be answered; empty: nothing
  std::shared_ptr<const sampling_params> sampling;
};

/// Committed tokens that the drafter has not seen, and how many tokens it may propose after them.
struct draft_wish {
  sequence_id id = 0;
  int offset = 0; ///< index in the sequence of appended.front()
  std::vector<token_id> appended;
  int n_max = 0;
  std::shared_ptr<const draft_subject> subject;
  std::vector<token_successors> successors; ///< of the last step's rows, where token recycling is in force
};

struct draft_ending {
  sequence_id id = 0;
  int offset = 0; ///< as in a wish
  std::vector<token_id> appended;
  std::shared_ptr<const draft_subject> subject;
  bool is_answer = false; ///< it is complete: its tenant's next answers may be drafted from it
};

struct draft_demand {
  std::vector<draft_wish> wishes;
  std::vector<draft_ending> ended;
};

struct draft_proposal {
  sequence_id id = 0;
  std::vector<draft_tree> drafts; ///< of several drafters; none is empty
  int n_known = 0;                ///< tokens of the sequence that the drafters have now
  int n_behind = 0; ///< of a draft model: those of them that it has yet to compute; then it drafts nothing
};

struct draft_offer {
  std::vector<draft_proposal> proposals; ///< in the demand's order
  step_time pass;                        ///< of a draft model; no rows: nothing was measured
  /// Of a draft model that is another one than before: what its passes take. Empty: it is the same.
  std::vector<step_time> known_passes;
};

using draft_demand_ptr = std::shared_ptr<const draft_demand>;
using draft_offer_ptr = std::shared_ptr<const draft_offer>;

} // namespace souffleur
