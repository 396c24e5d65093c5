// Reproducible choices: the same on every machine and in every order of asking.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace souffleur::load {

/// SplitMix64 (Steele, Lea, Flood 2014).
class seeded_random {
public:
  /// One stream of numbers for each pair.
  seeded_random(std::uint64_t seed, std::uint64_t stream) : state_(seed) {
    state_ = next() ^ (stream * 0xD1342543DE82EF95ULL);
  }

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double exponential(double mean) { return -mean * std::log1p(-uniform()); }
  template <class Range>
  const auto& one_of(const Range& range) {
    return range[below(range.size())];
  }

private:
  std::uint64_t state_ = 0;
};

} // namespace souffleur::load
