// Verifies drafted tokens against the target's distributions: whatever was drafted, what comes out follows
// the target.
#include <souffleur/policies/acceptance_policy.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <random>

int main() {
  using namespace souffleur;
  const distribution target{{0, 1, 2}, {0.5, 0.3, 0.2}};
  const distribution draft{{0, 1, 2}, {0.2, 0.2, 0.6}}; // a poor drafter
  std::mt19937 random{1};
  const auto uniform = [&random] { return std::uniform_real_distribution<double>{1e-12, 1}(random); };
  constexpr int n_steps = 100'000;
  for (const char* name : {"token", "block", "coupled"}) {
    const auto policy = make_acceptance_policy(name);
    std::array<int, 3> n_first{};
    int n_tokens = 0;
    for (int i = 0; i < n_steps; ++i) {
      const uniform_coins coins{[&](const coin&) { return uniform(); }};
      const auto drafted = std::array{token_at(draft, uniform()), token_at(draft, uniform())};
      const auto proposals =
          policy->name() == "coupled" ? std::vector<distribution>{} : std::vector<distribution>{draft, draft};
      const auto out = policy->decide(
          chain_of(drafted, proposals), [&](int) { return target; }, coins);
      ++n_first[static_cast<std::size_t>(out.tokens.front())];
      n_tokens += static_cast<int>(out.tokens.size());
    }
    std::printf(
        "%-8s %.2f tokens a step; the first is 0, 1, 2 in %.3f %.3f %.3f of the steps (0.5, 0.3, 0.2)\n",
        name, 1.0 * n_tokens / n_steps, 1.0 * n_first[0] / n_steps, 1.0 * n_first[1] / n_steps,
        1.0 * n_first[2] / n_steps);
    for (std::size_t token = 0; token < 3; ++token)
      if (std::abs(1.0 * n_first[token] / n_steps - target.probabilities[token]) > 0.01)
        return 1;
  }
}
