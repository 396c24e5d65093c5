// The conversation between scheduler and drafters.
#pragma once

#include "policies/draft_tree.hpp"

#include <memory>
#include <vector>

namespace souffleur {

/// Committed tokens that the drafter has not seen, and how many tokens it may propose after them.
struct draft_wish {
  sequence_id id = 0;
  int offset = 0; ///< index in the sequence of appended.front()
  std::vector<token_id> appended;
  int n_max = 0;
};

struct draft_demand {
  std::vector<draft_wish> wishes;
  std::vector<sequence_id> ended;
};

struct draft_proposal {
  sequence_id id = 0;
  draft_tree draft; ///< a chain
  int n_known = 0;  ///< tokens of the sequence that the drafter has now
};

struct draft_offer {
  std::vector<draft_proposal> proposals; ///< in the demand's order
};

using draft_demand_ptr = std::shared_ptr<const draft_demand>;
using draft_offer_ptr = std::shared_ptr<const draft_offer>;

} // namespace souffleur
