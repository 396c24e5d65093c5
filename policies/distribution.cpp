#include "policies/distribution.hpp"

#include <algorithm>

namespace souffleur {

token_id token_at(const distribution& law, double uniform) {
  double cumulative = 0;
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    cumulative += law.probabilities[i];
    if (uniform < cumulative) {
      return law.tokens[i];
    }
  }
  return law.tokens.empty() ? 0 : law.tokens.back();
}

token_id most_likely(const distribution& law) {
  if (law.tokens.empty()) {
    return 0;
  }
  const auto best = std::max_element(law.probabilities.begin(), law.probabilities.end());
  return law.tokens[static_cast<std::size_t>(best - law.probabilities.begin())];
}

} // namespace souffleur
