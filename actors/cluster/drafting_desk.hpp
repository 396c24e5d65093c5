// Where a drafter process drafts.
#pragma once

#include "actors/messages/draft.hpp"

#include <functional>

namespace souffleur {

/// Null: the draft model has failed.
using offer_sink = std::function<void(draft_offer_ptr)>;

class drafting_desk {
public:
  virtual ~drafting_desk() = default;
  /// Begins with empty books. False: what was begun last has not ended yet.
  virtual bool open(int n_shared_vocabulary, bool races) = 0;
  /// What is under way is over soon.
  virtual void close() = 0;
  /// REQUIRES: it is open. `done` is called once, on any thread.
  virtual void draft(draft_demand demand, offer_sink done) = 0;
};

} // namespace souffleur
