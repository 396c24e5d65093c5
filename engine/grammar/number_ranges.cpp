#include "engine/grammar/number_ranges.hpp"

#include <algorithm>
#include <charconv>

namespace souffleur::grammar {

namespace {

constexpr int most_bound_digits = 20;                     ///< behind a bound's point
constexpr int most_exact_digits = 15;                     ///< that tell doubles apart
constexpr std::int64_t largest = 999'999'999'999'999'999; // 18 digits

expression digit_between(char first, char last) {
  return one_of(character_set{}.add(static_cast<unsigned char>(first), static_cast<unsigned char>(last)));
}

expression digits(int least, int most) { return repeated(digit_between('0', '9'), least, most); }

/// The ranges of a digit between `first` and `last` and, for each, whether what follows is still at the lower
/// and at the upper bound: `add(from, to, stays_low, stays_high)`, where `from` may be beyond `to`.
template <class Add>
void for_each_way(char first, char last, bool at_low, bool at_high, const Add& add) {
  if (at_low && at_high && first == last) {
    add(first, last, true, true);
    return;
  }
  if (at_low)
    add(first, first, true, false);
  if (at_high)
    add(last, last, false, true);
  add(static_cast<char>(first + (at_low ? 1 : 0)), static_cast<char>(last - (at_high ? 1 : 0)), false, false);
}

/// Digit strings of one length, from `low` to `high`.
expression same_length(std::string_view low, std::string_view high, bool at_low, bool at_high) {
  if (low.empty())
    return sequence({});
  if (!at_low && !at_high)
    return digits(static_cast<int>(low.size()), static_cast<int>(low.size()));
  const char first = at_low ? low.front() : '0';
  const char last = at_high ? high.front() : '9';
  std::vector<expression> ways;
  const auto add = [&](char from, char to, bool stays_low, bool stays_high) {
    if (from <= to)
      ways.push_back(sequence(
          {digit_between(from, to), same_length(low.substr(1), high.substr(1), stays_low, stays_high)}));
  };
  for_each_way(first, last, at_low, at_high, add);
  return choice(std::move(ways));
}

std::int64_t smallest_of(std::size_t n_digits) {
  std::int64_t value = 1;
  for (std::size_t i = 1; i < n_digits; ++i)
    value *= 10;
  return value;
}

/// 0 ≤ least ≤ most.
expression naturals_between(std::int64_t least, std::int64_t most) {
  std::vector<expression> ways;
  if (least == 0) {
    ways.push_back(bytes("0"));
    least = 1;
  }
  for (auto n = std::to_string(least).size(); least <= most && n <= std::to_string(most).size(); ++n) {
    const auto low = std::to_string(std::max(least, smallest_of(n)));
    const auto high = std::to_string(n >= 18 ? most : std::min(most, smallest_of(n + 1) - 1));
    ways.push_back(same_length(low, high.size() > n ? std::string(n, '9') : high, true, true));
  }
  return choice(std::move(ways));
}

/// What stands behind the point, digit by digit.
class fractions {
public:
  struct bound {
    std::string digits;
    bool included = true;
  };
  fractions(std::optional<bound> low, std::optional<bound> high, int n_most)
      : low_(std::move(low)), high_(std::move(high)), n_most_(n_most) {}

  expression all() const { return from(0, low_.has_value(), high_.has_value()); }
  /// Whether no digits at all, which is 0, would do.
  bool has_zero() const { return may_end(0, low_.has_value(), high_.has_value()); }

private:
  static char digit(const bound& of, int at) {
    const auto place = static_cast<std::size_t>(at);
    return place < of.digits.size() ? of.digits[place] : '0';
  }
  static bool has_more(const bound& of, int at) { return static_cast<std::size_t>(at) < of.digits.size(); }

  bool may_end(int at, bool at_low, bool at_high) const {
    const bool low_enough = !at_high || has_more(*high_, at) || high_->included;
    const bool high_enough = !at_low || (!has_more(*low_, at) && low_->included);
    return low_enough && high_enough;
  }

  /// Behind `at` digits that are those of a bound.
  expression from(int at, bool at_low, bool at_high) const {
    if (!at_low && !at_high)
      return at == 0 ? digits(1, n_most_) : digits(0, n_most_ - at);
    std::vector<expression> ways;
    if (at > 0 && may_end(at, at_low, at_high))
      ways.push_back(sequence({}));
    if (at < n_most_) {
      const char first = at_low ? digit(*low_, at) : '0';
      const char last = at_high ? digit(*high_, at) : '9';
      const auto add = [&](char low, char high, bool stays_low, bool stays_high) {
        if (low <= high)
          ways.push_back(sequence({digit_between(low, high), from(at + 1, stays_low, stays_high)}));
      };
      for_each_way(first, last, at_low, at_high, add);
    }
    return choice(std::move(ways));
  }

  std::optional<bound> low_;
  std::optional<bound> high_;
  int n_most_;
};

struct magnitude_bound {
  std::int64_t whole = 0;
  std::string fraction;
  bool included = true;
};

bool is_below(const magnitude_bound& a, const magnitude_bound& b) {
  if (a.whole != b.whole)
    return a.whole < b.whole;
  if (a.fraction != b.fraction)
    return a.fraction < b.fraction;
  return a.included && b.included;
}

expression with_fraction(expression whole, const fractions& behind) {
  auto fraction = sequence({bytes("."), behind.all()});
  return sequence(
      {std::move(whole), behind.has_zero() ? optional(std::move(fraction)) : std::move(fraction)});
}

/// Numbers from 0 on.
expression magnitudes_between(const magnitude_bound& least, const std::optional<magnitude_bound>& most) {
  if (most && !is_below(least, *most))
    return nothing();
  const fractions::bound low{least.fraction, least.included};
  const auto n_whole = std::to_string(std::max(least.whole, most ? most->whole : 0)).size();
  const int n_behind = std::max(0, most_exact_digits - static_cast<int>(n_whole));
  std::vector<expression> ways;
  const auto exactly = [](std::int64_t whole) { return bytes(std::to_string(whole)); };
  if (most && most->whole == least.whole) {
    ways.push_back(with_fraction(exactly(least.whole),
                                 fractions{low, fractions::bound{most->fraction, most->included}, n_behind}));
    return choice(std::move(ways));
  }
  ways.push_back(with_fraction(exactly(least.whole), fractions{low, std::nullopt, n_behind}));
  const auto last = most ? most->whole - 1 : largest;
  if (least.whole < last)
    ways.push_back(with_fraction(naturals_between(least.whole + 1, last),
                                 fractions{std::nullopt, std::nullopt, n_behind}));
  if (most)
    ways.push_back(
        with_fraction(exactly(most->whole),
                      fractions{std::nullopt, fractions::bound{most->fraction, most->included}, n_behind}));
  return choice(std::move(ways));
}

magnitude_bound magnitude_of(const number_bound& bound) {
  return {bound.at.whole, bound.at.fraction, bound.included};
}

} // namespace

expression integers_between(const integer_bounds& bounds) {
  const auto least = bounds.least.value_or(-largest);
  const auto most = bounds.most.value_or(largest);
  std::vector<expression> ways;
  if (const auto from = std::max<std::int64_t>(least, 0); from <= most)
    ways.push_back(naturals_between(from, most));
  if (const auto to = std::min<std::int64_t>(most, -1); least <= to)
    ways.push_back(sequence({bytes("-"), naturals_between(-to, -least)}));
  return choice(std::move(ways));
}

expression numbers_between(const std::optional<number_bound>& least,
                           const std::optional<number_bound>& most) {
  std::vector<expression> ways;
  const bool has_positive = !most || !most->at.negative;
  const bool has_negative = !least || least->at.negative;
  if (has_positive) {
    const auto from = least && !least->at.negative ? magnitude_of(*least) : magnitude_bound{};
    ways.push_back(magnitudes_between(from, most ? std::optional{magnitude_of(*most)} : std::nullopt));
  }
  if (has_negative) {
    const auto from = most && most->at.negative ? magnitude_of(*most) : magnitude_bound{0, "", false};
    ways.push_back(sequence(
        {bytes("-"), magnitudes_between(from, least ? std::optional{magnitude_of(*least)} : std::nullopt)}));
  }
  return choice(std::move(ways));
}

std::optional<decimal> decimal::parse(std::string_view text) {
  decimal made;
  if (text.starts_with('-')) {
    made.negative = true;
    text.remove_prefix(1);
  }
  int exponent = 0;
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    auto digits = text.substr(e + 1);
    if (digits.starts_with('+'))
      digits.remove_prefix(1);
    std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    text = text.substr(0, e);
  }
  const auto point = text.find('.');
  std::string all{text.substr(0, point)};
  auto n_whole = static_cast<int>(all.size());
  if (point != std::string_view::npos)
    all += text.substr(point + 1);
  n_whole += exponent;
  if (n_whole < -most_bound_digits || n_whole > 40)
    return std::nullopt;
  if (n_whole < 0) {
    all.insert(0, static_cast<std::size_t>(-n_whole), '0');
    n_whole = 0;
  }
  if (all.size() < static_cast<std::size_t>(n_whole))
    all.append(static_cast<std::size_t>(n_whole) - all.size(), '0');
  auto whole = all.substr(0, static_cast<std::size_t>(n_whole));
  made.fraction = all.substr(static_cast<std::size_t>(n_whole));
  while (made.fraction.ends_with('0'))
    made.fraction.pop_back();
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  if (whole.size() > 18 || made.fraction.size() > most_bound_digits)
    return std::nullopt;
  std::from_chars(whole.data(), whole.data() + whole.size(), made.whole);
  if (made.whole == 0 && made.fraction.empty())
    made.negative = false;
  return made;
}

} // namespace souffleur::grammar
