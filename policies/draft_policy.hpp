// How many rows a step spends on drafts.
#pragma once

#include <memory>
#include <string_view>

namespace souffleur {

/// What the policy may look at when it sizes one sequence's draft for one step.
struct draft_situation {
  int n_running = 1;           ///< sequences that decode in this step
  int max_draft_tokens = 0;    ///< the request's and the configuration's cap
  int n_remaining_tokens = 0;  ///< output tokens that the request may still get
  int n_recently_proposed = 0; ///< drafted tokens in the recent past (decayed)
  int n_recently_accepted = 0; ///< of them, accepted
};

class draft_policy {
public:
  virtual ~draft_policy() = default;
  virtual std::string_view name() const = 0;
  /// Number of draft tokens to ask for: 0 ≤ result ≤ min(max_draft_tokens, n_remaining_tokens - 1).
  virtual int n_draft_tokens(const draft_situation& now) const = 0;
};

/// Names: "fixed", "adaptive", "off". Null if the name is unknown.
std::unique_ptr<draft_policy> make_draft_policy(std::string_view name);

} // namespace souffleur
