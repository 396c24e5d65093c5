// RapidCheck generators of JSON.
#pragma once

#include "tests/engine/random_text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <rapidcheck.h>

#include <string>
#include <vector>

namespace souffleur::testing {

/// A number that is likely to be at the border of some range.
inline rc::Gen<boost::json::value> json_number() {
  using boost::json::value;
  return rc::gen::oneOf(
      rc::gen::map(rc::gen::inRange<std::int64_t>(-5, 10), [](std::int64_t n) { return value(n); }),
      rc::gen::map(rc::gen::inRange<std::int64_t>(-5, 200), [](std::int64_t n) { return value(n); }),
      rc::gen::map(rc::gen::arbitrary<std::int64_t>(), [](std::int64_t n) { return value(n); }),
      rc::gen::map(rc::gen::element(0.0, -0.0, 0.5, 1.0, 1.5, 2.0, 2.5, -2.0, 5.0, 1e-60, 1e18, 1e300),
                   [](double n) { return value(n); }),
      rc::gen::element(value(9223372036854775807), value(18446744073709551615U), value(2147483647),
                       value(2147483648), value(-2147483649)));
}

inline rc::Gen<boost::json::value> json_leaf() {
  using boost::json::value;
  return rc::gen::oneOf(
      rc::gen::element(value(nullptr), value(true), value(false)), json_number(),
      rc::gen::map(rc::gen::element<std::string>("", "text", "user", "auto", "none", "on", "off", "served"),
                   [](const std::string& text) { return value(text); }),
      rc::gen::map(unicode_text(), [](const std::string& text) { return value(text); }));
}

/// Any value, nested at most `depth` deep.
inline rc::Gen<boost::json::value> json_value(int depth = 3) {
  using namespace boost::json;
  if (depth == 0)
    return json_leaf();
  const auto deeper = rc::gen::scale(0.3, rc::gen::container<std::vector<value>>(json_value(depth - 1)));
  const auto key = rc::gen::element<std::string>(
      "role", "content", "type", "text", "mode", "enabled", "max_draft", "branches", "speculation", "cache",
      "priority", "cache_priority", "cache_ttl_s", "timeout_ms", "include_usage", "5", "-1", "x");
  const auto entries = rc::gen::scale(0.3, rc::gen::container<std::vector<std::pair<std::string, value>>>(
                                               rc::gen::pair(key, json_value(depth - 1))));
  return rc::gen::oneOf(json_leaf(),
                        rc::gen::map(deeper,
                                     [](const std::vector<value>& entries) {
                                       return value(array(entries.begin(), entries.end()));
                                     }),
                        rc::gen::map(entries, [](const auto& members) {
                          object made;
                          for (const auto& [name, content] : members)
                            made[name] = content;
                          return value(made);
                        }));
}

} // namespace souffleur::testing

namespace rc {
template <>
struct Arbitrary<boost::json::value> {
  static Gen<boost::json::value> arbitrary() { return souffleur::testing::json_value(); }
};
} // namespace rc
