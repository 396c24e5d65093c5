#include "policies/distribution.hpp"

#include <algorithm>
#include <numeric>

namespace souffleur {
namespace {

void normalise(distribution& law) {
  const double sum = std::accumulate(law.probabilities.begin(), law.probabilities.end(), 0.0);
  for (double& probability : law.probabilities) {
    probability *= 1 / sum;
  }
}

} // namespace

distribution point_mass(token_id token) { return {{token}, {1.0}}; }

double probability_of(const distribution& law, token_id token) {
  const auto at = std::lower_bound(law.tokens.begin(), law.tokens.end(), token);
  if (at == law.tokens.end() || *at != token) {
    return 0;
  }
  return law.probabilities[static_cast<std::size_t>(at - law.tokens.begin())];
}

std::size_t index_at(std::span<const double> probabilities, double uniform) {
  double cumulative = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    cumulative += probabilities[i];
    if (uniform < cumulative) {
      return i;
    }
  }
  return probabilities.empty() ? 0 : probabilities.size() - 1;
}

token_id token_at(const distribution& law, double uniform) {
  return law.tokens.empty() ? 0 : law.tokens[index_at(law.probabilities, uniform)];
}

token_id most_likely(const distribution& law) {
  if (law.tokens.empty()) {
    return 0;
  }
  const auto best = std::max_element(law.probabilities.begin(), law.probabilities.end());
  return law.tokens[static_cast<std::size_t>(best - law.probabilities.begin())];
}

residual residual_of(double scale, const distribution& p, const distribution& q) {
  residual left;
  auto& [tokens, probabilities] = left.law;
  tokens.resize(p.tokens.size());
  probabilities.resize(p.tokens.size());
  std::size_t n = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < p.tokens.size(); ++i) {
    while (at < q.tokens.size() && q.tokens[at] < p.tokens[i]) {
      ++at;
    }
    const bool in_q = at < q.tokens.size() && q.tokens[at] == p.tokens[i];
    const double over = std::max(0.0, scale * p.probabilities[i] - (in_q ? q.probabilities[at] : 0));
    // Which tokens are left follows no pattern that a branch could be predicted from.
    tokens[n] = p.tokens[i];
    probabilities[n] = over;
    n += over > 0 ? 1 : 0;
    left.mass += over;
  }
  if (n == 0) {
    left.law = p;
    return left;
  }
  tokens.resize(n);
  probabilities.resize(n);
  normalise(left.law);
  return left;
}

distribution without(distribution law, token_id token) {
  const auto at = std::lower_bound(law.tokens.begin(), law.tokens.end(), token);
  if (at != law.tokens.end() && *at == token) {
    law.probabilities.erase(law.probabilities.begin() + (at - law.tokens.begin()));
    law.tokens.erase(at);
    normalise(law);
  }
  return law;
}

} // namespace souffleur
