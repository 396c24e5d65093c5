// JSON's own rules, of which schemas are put together.
#pragma once

#include "engine/grammar/expression.hpp"

#include <span>
#include <string>
#include <vector>

namespace souffleur::grammar {

/// Rules are added to `to` when they are first needed.
///
/// Between tokens of JSON a model may write nothing, one space, or a line end with at most 20 blanks: as
/// people do, and never without end. Numbers have at most 19 digits before the point, 20 behind it and 2 in
/// the exponent, so that a double can hold them.
class json_rules {
public:
  explicit json_rules(rules& to) : to_(to) {}

  expression space();
  expression character();
  /// With so many characters (an escape is one).
  expression string(int least = 0, int most = unlimited);
  /// Between quotes, as it has to be written there.
  expression quoted(expression text);
  /// A key of an object that is none of `names`.
  expression string_but(std::span<const std::string> names);
  expression integer();
  expression number();
  expression boolean() { return choice({bytes("true"), bytes("false")}); }
  expression null() { return bytes("null"); }
  expression value();
  expression object();
  expression array();
  /// `first`, then any number of `more` with commas between; spaces around.
  expression comma_list(std::string open, expression body, std::string close);
  expression comma();
  expression member(expression key, expression value);

private:
  expression key_beside(std::span<const std::u32string> names, std::size_t n_read);

  rules& to_;
  rule_id space_ = -1;
  rule_id string_ = -1;
  rule_id number_ = -1;
  rule_id integer_ = -1;
  rule_id value_ = -1;
  rule_id object_ = -1;
  rule_id array_ = -1;
};

} // namespace souffleur::grammar
