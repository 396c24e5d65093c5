// Tokens' shares of a row as whole numbers. Their sums are exact, so it is all the same in which order, and
// in how many parts, a device adds them up.
#pragma once

#include "engine/cuda/arithmetic.hpp"
#include "engine/cuda/backend.hpp"
#include "engine/exponential.hpp"

#include <cmath>
#include <cstdint>

namespace souffleur::cuda {

/// Of the most likely token. All most_drawn_tokens of a row together stay below 2^64, and what rounding takes
/// from a token is less than 2^-44 of that.
constexpr std::uint64_t largest_share = std::uint64_t{1} << 44;
static_assert(~std::uint64_t{0} / most_drawn_tokens > largest_share);

/// Keys are ordered as (logit, -token); NaN is as unlikely as can be, and -0 as likely as 0.
SOUFFLEUR_BOTH std::uint64_t key_of(float logit, int token) {
  if (logit != logit)
    logit = -INFINITY;
  const std::uint32_t bits = bits_of(logit + 0.0F);
  const std::uint32_t ordered = bits & 0x80000000U ? ~bits : bits | 0x80000000U;
  return static_cast<std::uint64_t>(ordered) << 32 | (0xFFFFFFFFU - static_cast<std::uint32_t>(token));
}

/// Some part of a whole, rounded down. REQUIRES: 0 <= fraction <= 1.
SOUFFLEUR_BOTH std::uint64_t part_of(std::uint64_t whole, double fraction) {
  return static_cast<std::uint64_t>(static_cast<double>(whole) * fraction);
}

/// e^((logit - best) / temperature). REQUIRES: `best` is finite and no logit is larger.
SOUFFLEUR_BOTH std::uint64_t share_of(float logit, float best, double per_temperature) {
  const double x = (static_cast<double>(logit) - best) * per_temperature;
  return x > negligible ? part_of(largest_share, exp_of_non_positive(x)) : 0;
}

/// What the most likely ones must hold together for top-p.
SOUFFLEUR_BOTH std::uint64_t share_for_top_p(std::uint64_t total, float top_p) {
  const auto share = part_of(total, top_p > 0 ? static_cast<double>(top_p) : 0);
  return share > 0 ? share : 1;
}

/// What each must hold for min-p.
SOUFFLEUR_BOTH std::uint64_t share_for_min_p(float min_p) {
  return min_p > 0 ? part_of(largest_share, min_p < 1 ? static_cast<double>(min_p) : 1) : 0;
}

/// The token drawn is the first one, in ascending order, with which more than this is reached. REQUIRES:
/// 0 < uniform < 1; total > 0.
SOUFFLEUR_BOTH std::uint64_t place_of(double uniform, std::uint64_t total) {
  const auto place = part_of(total, uniform);
  return place < total ? place : total - 1;
}

} // namespace souffleur::cuda
