#include "policies/typical_acceptance.hpp"

#include <algorithm>
#include <cmath>

namespace souffleur {
namespace {

double entropy_of(const distribution& law) {
  double entropy = 0;
  for (const double p : law.probabilities) {
    entropy -= p * std::log(p);
  }
  return entropy;
}

/// A path on which all tokens stand.
struct path {
  int row = 0;
  int length = 0;
  double likelihood = 1;

  bool worse_than(const path& other) const {
    return length != other.length ? length < other.length : likelihood < other.likelihood;
  }
};

} // namespace

std::vector<ending> typical_acceptance::plan(const verification_tree& draft,
                                             const target_rows& target) const {
  path best;
  distribution best_law;
  std::vector<path> standing{best}; // of equals, the one drafted first stays
  for (std::size_t i = 0; i < standing.size(); ++i) {
    const path here = standing[i];
    auto law = target(here.row);
    const double least = std::min(epsilon_, delta_ * std::exp(-entropy_of(law)));
    for (const int child : draft.children(here.row)) {
      const double p = probability_of(law, draft.node(child).token);
      if (p > least) {
        standing.push_back({child, here.length + 1, here.likelihood * p});
      }
    }
    if (here.row == 0 || best.worse_than(here)) {
      best = here;
      best_law = std::move(law);
    }
  }
  return {{best.row, 1, std::move(best_law)}};
}

} // namespace souffleur
