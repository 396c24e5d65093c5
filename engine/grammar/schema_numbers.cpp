// schema_reader's numbers.
#include "engine/grammar/json_literal.hpp"
#include "engine/grammar/json_pointer.hpp"
#include "engine/grammar/number_ranges.hpp"
#include "engine/grammar/schema_reader.hpp"

#include <algorithm>

namespace souffleur::grammar {

namespace {

namespace json = boost::json;

/// The stricter of an inclusive and an exclusive bound.
std::optional<number_bound> stricter(const std::optional<number_bound>& with,
                                     const std::optional<number_bound>& without, bool is_least) {
  if (!with || !without)
    return with ? with : without;
  const auto value = [](const decimal& d) {
    const auto size = static_cast<long double>(d.whole) + std::stold("0." + d.fraction + "0");
    return d.negative ? -size : size;
  };
  const auto a = value(with->at);
  const auto b = value(without->at);
  return (is_least ? a > b : a < b) ? with : without;
}

/// Of an integer that has to be at least `bound`.
std::int64_t least_integer(const number_bound& bound) {
  const auto whole = bound.at.negative ? -bound.at.whole : bound.at.whole;
  if (!bound.at.fraction.empty())
    return bound.at.negative ? whole : whole + 1;
  return bound.included ? whole : whole + 1;
}

std::int64_t most_integer(const number_bound& bound) {
  auto mirrored = bound;
  mirrored.at.negative = !bound.at.negative;
  return -least_integer(mirrored);
}

} // namespace

std::optional<number_bound> schema_reader::bound(const object& schema, std::string_view keyword,
                                                 const std::string& pointer) {
  const auto* given = schema.if_contains(keyword);
  if (given == nullptr)
    return std::nullopt;
  const auto at = given->is_number() ? decimal::parse(json_literal(*given)) : std::nullopt;
  if (!at) {
    complain(below(pointer, keyword),
             "must be a number within 10^18 of zero, with at most 20 digits behind the point");
    return std::nullopt;
  }
  return number_bound{*at, !keyword.starts_with("exclusive")};
}

std::optional<number_bound> schema_reader::least_of(const object& schema, const std::string& pointer) {
  return stricter(bound(schema, "minimum", pointer), bound(schema, "exclusiveMinimum", pointer), true);
}

std::optional<number_bound> schema_reader::most_of(const object& schema, const std::string& pointer) {
  return stricter(bound(schema, "maximum", pointer), bound(schema, "exclusiveMaximum", pointer), false);
}

expression schema_reader::integer(const object& schema, const std::string& pointer) {
  const auto least = least_of(schema, pointer);
  const auto most = most_of(schema, pointer);
  if (!least && !most)
    return json_.integer();
  integer_bounds bounds;
  if (least)
    bounds.least = least_integer(*least);
  if (most)
    bounds.most = most_integer(*most);
  return integers_between(bounds);
}

expression schema_reader::number(const object& schema, const std::string& pointer) {
  const auto least = least_of(schema, pointer);
  const auto most = most_of(schema, pointer);
  return least || most ? numbers_between(least, most) : json_.number();
}

} // namespace souffleur::grammar
