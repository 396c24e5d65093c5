#include "policies/acceptance_policy.hpp"

#include "policies/named.hpp"

#include <algorithm>

namespace souffleur {
namespace {

double probability_of(const distribution& law, token_id token) {
  const auto at = std::lower_bound(law.tokens.begin(), law.tokens.end(), token);
  if (at == law.tokens.end() || *at != token) {
    return 0;
  }
  return law.probabilities[static_cast<std::size_t>(at - law.tokens.begin())];
}

/// Draws the row's token from the law of the plan and accepts the draft if it is the same token. Since the
/// draw does not look at the draft, a drafted run and an undrafted run with the same coins emit the same
/// tokens.
class comparing_policy : public acceptance_policy {
public:
  row_verdict decide(const row_plan& plan, double uniform) const override {
    const token_id token = token_at(plan.emitted, uniform);
    return {token, plan.drafted == token};
  }

protected:
  static row_plan compare(distribution emitted, std::optional<token_id> drafted) {
    const double accept = drafted ? probability_of(emitted, *drafted) : 0;
    return {drafted, accept, std::move(emitted), true};
  }
};

/// Takes the most likely token whatever the coin; lossless only where the target is a point mass.
class greedy_policy final : public comparing_policy {
public:
  std::string_view name() const override { return "greedy"; }
  bool lossless() const override { return false; }
  row_plan plan(const distribution& target, std::optional<token_id> drafted) const override {
    return compare({{most_likely(target)}, {1.0}}, drafted);
  }
};

class coupled_policy final : public comparing_policy {
public:
  std::string_view name() const override { return "coupled"; }
  bool lossless() const override { return true; }
  row_plan plan(const distribution& target, std::optional<token_id> drafted) const override {
    return compare(target, drafted);
  }
};

} // namespace

std::unique_ptr<acceptance_policy> make_acceptance_policy(std::string_view name) {
  return make_named<acceptance_policy, greedy_policy, coupled_policy>(name);
}

chain_verdict verify_chain(const acceptance_policy& policy, std::span<const token_id> draft,
                           const std::function<const distribution&(int)>& target_row,
                           const std::function<double(int)>& uniform) {
  chain_verdict verdict;
  const int n_draft = static_cast<int>(draft.size());
  for (int i = 0; i <= n_draft; ++i) {
    const auto drafted = i < n_draft ? std::optional(draft[static_cast<std::size_t>(i)]) : std::nullopt;
    const auto row = policy.decide(policy.plan(target_row(i), drafted), uniform(i));
    verdict.tokens.push_back(row.token);
    if (!row.accepted) {
      break;
    }
    ++verdict.n_accepted;
  }
  return verdict;
}

} // namespace souffleur
