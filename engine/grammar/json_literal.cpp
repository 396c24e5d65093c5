#include "engine/grammar/json_literal.hpp"

#include <boost/json/serialize.hpp>

#include <array>
#include <charconv>

namespace souffleur::grammar {

namespace {

std::string shortest(double value) {
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

} // namespace

std::string json_literal(const boost::json::value& value) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.size() > 1 ? "," : "") + part; };
  if (value.is_double())
    return shortest(value.get_double());
  if (const auto* array = value.if_array()) {
    text = "[";
    for (const auto& item : *array)
      add(json_literal(item));
    return text + "]";
  }
  if (const auto* object = value.if_object()) {
    text = "{";
    for (const auto& [key, member] : *object)
      add(boost::json::serialize(boost::json::string(key)) + ":" + json_literal(member));
    return text + "}";
  }
  return boost::json::serialize(value);
}

} // namespace souffleur::grammar
