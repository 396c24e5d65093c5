// A drafted token stands if it is typical enough of the target.
#pragma once

#include "policies/acceptance_policy.hpp"

namespace souffleur {

/// x stands if p(x) > min(epsilon, delta · exp(−H(p))), H the entropy in nats; of the paths on which all
/// stand the longest, of those the most likely. The token after it is drawn from the target's law. Lossy:
/// text tends to what the drafter proposes. At temperature 0 the same as greedy.
///
/// Cai et al. 2024, "Medusa: simple LLM inference acceleration framework with multiple decoding heads".
class typical_acceptance final : public acceptance_policy {
public:
  explicit typical_acceptance(double epsilon = 0.09, double delta = 0.3) : epsilon_(epsilon), delta_(delta) {}

  std::string_view name() const override { return "typical"; }
  bool lossless() const override { return false; }
  std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const override;

private:
  double epsilon_;
  double delta_;
};

} // namespace souffleur
