// Numbers between bounds, as digits.
#pragma once

#include "engine/grammar/expression.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace souffleur::grammar {

/// Bounds of either kind may be missing. Those within ±10^18 are kept exactly.
struct integer_bounds {
  std::optional<std::int64_t> least;
  std::optional<std::int64_t> most;
};
inline constexpr std::int64_t largest_bound = 1'000'000'000'000'000'000;

/// Integers without leading zeros, at most 19 digits. Nothing fits if least > most.
expression integers_between(const integer_bounds& bounds);

/// A decimal number: sign, digits, digits behind the point.
struct decimal {
  bool negative = false;
  std::int64_t whole = 0; ///< without the sign
  std::string fraction;   ///< digits, without zeros at the end
  bool operator==(const decimal&) const = default;

  /// Exactly what is written, e.g. -1.50 or 2e-3; nothing beyond ±10^18 or with more than 20 digits behind
  /// the point.
  static std::optional<decimal> parse(std::string_view text);
};

struct number_bound {
  decimal at;
  bool included = true;
};

/// Decimal numbers without exponents. They have so few digits behind the point (15 with those before it) that
/// none becomes its bound when it is read as a double. "-0" is not among them.
expression numbers_between(const std::optional<number_bound>& least, const std::optional<number_bound>& most);

} // namespace souffleur::grammar
