// Counts of durations, small and mergeable, from which any quantile is read with a bounded error.
#pragma once

#include <cstdint>
#include <vector>

namespace souffleur::load {

/// Buckets as in HdrHistogram: values below 256 have one each, above that each power of two has 128. A
/// quantile is therefore off by at most half a bucket, 0.4 % of the value. Units are the caller's.
class histogram {
public:
  /// A negative value counts as 0.
  void add(std::int64_t value, std::int64_t n = 1);
  void merge(const histogram& other);

  std::int64_t count() const { return count_; }
  /// Exact; 0 if empty.
  std::int64_t min() const { return count_ > 0 ? min_ : 0; }
  std::int64_t max() const { return max_; }
  double mean() const { return count_ > 0 ? static_cast<double>(sum_) / static_cast<double>(count_) : 0; }
  double standard_deviation() const;
  /// The smallest value that a `share` of all values does not exceed (nearest rank); 0 if empty.
  std::int64_t quantile(double share) const;

private:
  std::vector<std::int64_t> buckets_; ///< up to the highest that is not empty
  std::int64_t count_ = 0;
  std::int64_t min_ = 0;
  std::int64_t max_ = 0;
  long double sum_ = 0;
  long double sum_of_squares_ = 0;
};

} // namespace souffleur::load
