// Reads the fields of a request's JSON object and keeps the first complaint, which names the parameter.
#pragma once

#include "actors/messages/generation.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

/// An error that OpenAI's clients understand, with status 400.
generation_failed bad_parameter(std::string parameter, std::string message,
                                std::string code = "invalid_value");

/// Readers return nothing for a field that is absent or null, and for one that is wrong; the latter sets
/// error(). Unknown fields are ignored.
class json_fields {
public:
  /// `prefix` goes before the names in errors, e.g. "souffleur.". `object` must outlive this.
  explicit json_fields(const boost::json::object& object, std::string prefix = "")
      : object_(object), prefix_(std::move(prefix)) {}

  struct range {
    double least = -std::numeric_limits<double>::infinity();
    double most = std::numeric_limits<double>::infinity();
    bool above_least = false; ///< `least` itself is not allowed, nor what rounds to it as a float
  };

  std::optional<std::int64_t> integer(std::string_view name, std::int64_t least, std::int64_t most);
  std::optional<double> number(std::string_view name, const range& allowed);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string> text(std::string_view name);
  const boost::json::array* array(std::string_view name);
  const boost::json::object* object(std::string_view name);
  /// Null if absent or JSON null.
  const boost::json::value* find(std::string_view name) const;

  /// The first complaint stays.
  void complain(std::string_view name, const std::string& message, std::string code = "invalid_value");
  void complain(generation_failed error);
  const std::optional<generation_failed>& error() const { return error_; }

private:
  void complain_of_type(std::string_view name, std::string_view wanted, const boost::json::value& got);

  const boost::json::object& object_;
  std::string prefix_;
  std::optional<generation_failed> error_;
};

/// "a string", "an array", ...
std::string_view kind_name(const boost::json::value& value);

/// Text with invalid UTF-8 replaced by U+FFFD, as JSON needs it.
std::string valid_utf8(std::string_view bytes);

} // namespace souffleur
