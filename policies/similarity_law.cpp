#include "policies/similarity_law.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace souffleur {

namespace {

/// Standard deviations of the prior that the grid reaches to each side.
constexpr double reach = 4;

} // namespace

void entry_record::note(double similarity, likeness outcome) {
  if (outcome == likeness::unknown)
    return;
  const graded added{static_cast<float>(similarity), outcome == likeness::same};
  if (n_ < most) {
    seen_[n_++] = added;
    return;
  }
  seen_[oldest_] = added;
  oldest_ = (oldest_ + 1) % most;
}

threshold_belief::threshold_belief(const threshold_prior& prior, std::span<const graded> seen)
    : slope_(prior.slope), first_(prior.mean - reach * prior.spread),
      step_(2 * reach * prior.spread / static_cast<double>(n_points - 1)) {
  double before = 0;
  double after = 0;
  for (std::size_t i = 0; i < n_points; ++i) {
    const double z = (threshold(i) - prior.mean) / prior.spread;
    const double weight = std::exp(-z * z / 2);
    weights_[i] = weight;
    before += weight;
    for (const auto& one : seen) {
      const double right = right_with(threshold(i), one.similarity);
      weights_[i] *= one.right ? right : 1 - right;
    }
    after += weights_[i];
  }
  log_evidence_ = std::log(std::max(after, std::numeric_limits<double>::min()) / before);
  for (auto& weight : weights_)
    weight = after > 0 ? weight / after : 1.0 / n_points;
}

double threshold_belief::right_with(double threshold, double similarity) const {
  return 1 / (1 + std::exp(-slope_ * (similarity - threshold)));
}

double threshold_belief::right(double similarity) const {
  double mean = 0;
  for (std::size_t i = 0; i < n_points; ++i)
    mean += weights_[i] * right_with(threshold(i), similarity);
  return std::min(mean, 1.0); // the weights' sum is rounded
}

double threshold_belief::right_at_least(double similarity, double doubt) const {
  double above = 0;
  std::size_t i = n_points;
  while (i > 1 && above + weights_[i - 1] <= doubt)
    above += weights_[--i];
  return right_with(threshold(i - 1), similarity);
}

namespace {

struct bin {
  double similarity = 0;
  double n_right = 0;
  double n_wrong = 0;
};

/// Records of one comparison are alike if their similarities are: they are counted, not kept.
struct evidence {
  std::vector<bin> single;
  std::vector<std::span<const graded>> longer;
};

evidence evidence_of(std::span<const std::vector<graded>> records) {
  constexpr int n_bins = 200;
  evidence found;
  found.single.resize(n_bins + 1);
  for (int i = 0; i <= n_bins; ++i)
    found.single[static_cast<std::size_t>(i)].similarity = static_cast<double>(i) / n_bins;
  for (const auto& record : records) {
    if (record.size() == 1) {
      const auto at = std::lround(std::clamp(record[0].similarity, 0.F, 1.F) * n_bins);
      auto& counts = found.single[static_cast<std::size_t>(at)];
      (record[0].right ? counts.n_right : counts.n_wrong) += 1;
    } else if (!record.empty()) {
      found.longer.emplace_back(record);
    }
  }
  std::erase_if(found.single, [](const bin& one) { return one.n_right + one.n_wrong == 0; });
  return found;
}

double log_likelihood(const threshold_prior& prior, const evidence& found) {
  const threshold_belief without{prior, {}};
  double sum = 0;
  for (const auto& one : found.single) {
    const double right = std::clamp(without.right(one.similarity), 1e-9, 1 - 1e-9);
    sum += one.n_right * std::log(right) + one.n_wrong * std::log(1 - right);
  }
  for (const auto& record : found.longer)
    sum += threshold_belief{prior, record}.log_evidence();
  // Worth as much as a few comparisons: it decides only where there are hardly any.
  const threshold_prior usual;
  const double off_mean = (prior.mean - usual.mean) / 0.1;
  const double off_slope = std::log(prior.slope / usual.slope);
  return sum - (off_mean * off_mean + off_slope * off_slope) / 2;
}

struct candidate {
  threshold_prior prior;
  double likelihood = -std::numeric_limits<double>::infinity();
};

/// The likeliest mean and slope for one spread: a coarse grid, then steps that get smaller.
candidate likeliest_with(double spread, const evidence& found) {
  candidate best;
  const auto consider = [&](double mean, double slope) {
    const threshold_prior prior{mean, spread, slope};
    if (const double likelihood = log_likelihood(prior, found); likelihood > best.likelihood)
      best = {prior, likelihood};
  };
  for (double slope = 8; slope < 200; slope *= 1.8)
    for (double mean = 0.5; mean <= 1.1; mean += 0.05)
      consider(mean, slope);
  double step = 0.025;
  double factor = 1.35;
  for (int i = 0; i < 4; ++i, step /= 2, factor = std::sqrt(factor))
    for (const double shift : {-1.0, 0.0, 1.0})
      for (const double power : {-1.0, 0.0, 1.0})
        consider(best.prior.mean + shift * step, best.prior.slope * std::pow(factor, power));
  return best;
}

} // namespace

threshold_prior fit_prior(std::span<const std::vector<graded>> records) {
  const auto found = evidence_of(records);
  std::vector<candidate> by_spread;
  for (const double spread : {0.02, 0.03, 0.045, 0.065, 0.09, 0.12, 0.16})
    by_spread.push_back(likeliest_with(spread, found));
  const auto best = std::max_element(by_spread.begin(), by_spread.end(), [](const auto& a, const auto& b) {
    return a.likelihood < b.likelihood;
  });
  auto prior = best->prior;
  // Twice the logarithm of a likelihood ratio: 4 is two standard deviations.
  for (const auto& one : by_spread)
    if (one.likelihood >= best->likelihood - 2) {
      prior.spread = std::max(prior.spread, one.prior.spread);
      prior.slope = std::min(prior.slope, one.prior.slope);
    }
  return prior;
}

} // namespace souffleur
