#include "net/json_fields.hpp"

#include "engine/text_stream.hpp"

#include <boost/json/value.hpp>

#include <cmath>
#include <cstdio>

namespace souffleur {

namespace json = boost::json;

namespace {

std::string shown(double number) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%.10g", number);
  return digits;
}

std::string shown(std::int64_t number) { return std::to_string(number); }

template <class T>
std::string outside(T least, bool above_least, T most) {
  return std::string{"must be "} + (above_least ? "above " : "at least ") + shown(least) + " and at most " +
         shown(most);
}

} // namespace

generation_failed bad_parameter(std::string parameter, std::string message, std::string code) {
  return {400, std::move(code), std::move(message), std::move(parameter), 0};
}

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
  case json::kind::null:
    return "null";
  case json::kind::bool_:
    return "a boolean";
  case json::kind::int64:
  case json::kind::uint64:
    return "an integer";
  case json::kind::double_:
    return "a number";
  case json::kind::string:
    return "a string";
  case json::kind::array:
    return "an array";
  case json::kind::object:
    return "an object";
  }
  return "something else";
}

std::string valid_utf8(std::string_view bytes) {
  incremental_detokenizer detokenizer;
  auto text = detokenizer.push(bytes);
  return text + detokenizer.flush();
}

const json::value* json_fields::find(std::string_view name) const {
  const auto* value = object_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void json_fields::complain(std::string_view name, const std::string& message, std::string code) {
  const auto parameter = prefix_ + std::string{name};
  complain(bad_parameter(parameter, "'" + parameter + "' " + message + ".", std::move(code)));
}

void json_fields::complain(generation_failed error) {
  if (!error_)
    error_ = std::move(error);
}

void json_fields::complain_of_type(std::string_view name, std::string_view wanted, const json::value& got) {
  complain(name, "must be " + std::string{wanted} + ", not " + std::string{kind_name(got)}, "invalid_type");
}

std::optional<std::int64_t> json_fields::integer(std::string_view name, std::int64_t least,
                                                 std::int64_t most) {
  const auto* value = find(name);
  if (value == nullptr)
    return std::nullopt;
  std::int64_t number = 0;
  if (value->is_int64()) {
    number = value->get_int64();
  } else if (value->is_double() && std::nearbyint(value->get_double()) == value->get_double() &&
             std::abs(value->get_double()) < 9e15) {
    number = static_cast<std::int64_t>(value->get_double()); // 5.0, as some clients write it
  } else if (value->is_uint64() || value->is_double()) {
    complain(name, value->is_uint64() ? outside(least, false, most) : "must be an integer");
    return std::nullopt;
  } else {
    complain_of_type(name, "an integer", *value);
    return std::nullopt;
  }
  if (number < least || number > most) {
    complain(name, outside(least, false, most) + ", not " + std::to_string(number));
    return std::nullopt;
  }
  return number;
}

std::optional<double> json_fields::number(std::string_view name, const range& allowed) {
  const auto* value = find(name);
  if (value == nullptr)
    return std::nullopt;
  if (!value->is_number()) {
    complain_of_type(name, "a number", *value);
    return std::nullopt;
  }
  const double number = value->to_number<double>();
  if (!(number >= allowed.least && number <= allowed.most) ||
      (allowed.above_least && static_cast<float>(number) == static_cast<float>(allowed.least))) {
    complain(name, outside(allowed.least, allowed.above_least, allowed.most) + ", not " + shown(number));
    return std::nullopt;
  }
  return number;
}

std::optional<bool> json_fields::boolean(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr)
    return std::nullopt;
  if (!value->is_bool()) {
    complain_of_type(name, "a boolean", *value);
    return std::nullopt;
  }
  return value->get_bool();
}

std::optional<std::string> json_fields::text(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr)
    return std::nullopt;
  if (!value->is_string()) {
    complain_of_type(name, "a string", *value);
    return std::nullopt;
  }
  return std::string{value->get_string()};
}

const json::array* json_fields::array(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr)
    return nullptr;
  if (!value->is_array())
    complain_of_type(name, "an array", *value);
  return value->if_array();
}

const json::object* json_fields::object(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr)
    return nullptr;
  if (!value->is_object())
    complain_of_type(name, "an object", *value);
  return value->if_object();
}

} // namespace souffleur
