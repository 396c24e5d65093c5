#include "examples/load/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace souffleur::load {

namespace {

constexpr int sub_bits = 7;
constexpr std::int64_t n_sub = std::int64_t{1} << sub_bits;

/// How many low bits of a value its bucket does not tell.
int shift_of(std::int64_t value) {
  return std::max(0, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(value))) - sub_bits - 1);
}

std::size_t bucket_of(std::int64_t value) {
  const int shift = shift_of(value);
  return static_cast<std::size_t>(shift * n_sub + (value >> shift));
}

std::int64_t middle_of(std::size_t bucket) {
  const auto at = static_cast<std::int64_t>(bucket);
  const auto shift = std::max<std::int64_t>(0, at / n_sub - 1);
  const auto low = (at - shift * n_sub) << shift;
  return low + ((std::int64_t{1} << shift) - 1) / 2;
}

} // namespace

void histogram::add(std::int64_t value, std::int64_t n) {
  if (n <= 0)
    return;
  value = std::max<std::int64_t>(value, 0);
  const auto bucket = bucket_of(value);
  if (bucket >= buckets_.size())
    buckets_.resize(bucket + 1);
  buckets_[bucket] += n;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  count_ += n;
  sum_ += static_cast<long double>(value) * static_cast<long double>(n);
  sum_of_squares_ +=
      static_cast<long double>(value) * static_cast<long double>(value) * static_cast<long double>(n);
}

void histogram::merge(const histogram& other) {
  if (other.count_ == 0)
    return;
  if (other.buckets_.size() > buckets_.size())
    buckets_.resize(other.buckets_.size());
  for (std::size_t i = 0; i < other.buckets_.size(); ++i)
    buckets_[i] += other.buckets_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
  sum_of_squares_ += other.sum_of_squares_;
}

double histogram::standard_deviation() const {
  if (count_ == 0)
    return 0;
  const auto n = static_cast<long double>(count_);
  const long double variance = sum_of_squares_ / n - (sum_ / n) * (sum_ / n);
  return std::sqrt(static_cast<double>(std::max<long double>(variance, 0)));
}

std::int64_t histogram::quantile(double share) const {
  if (count_ == 0)
    return 0;
  const auto rank = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count_))), 1, count_);
  std::int64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank)
      return std::clamp(middle_of(bucket), min_, max_);
  }
  return max_;
}

} // namespace souffleur::load
