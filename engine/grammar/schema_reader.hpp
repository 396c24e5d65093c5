// JSON schemas as grammars.
#pragma once

#include "engine/grammar/json_rules.hpp"
#include "engine/grammar/number_ranges.hpp"
#include "engine/result.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::grammar {

/// Adds a schema's rules to a grammar. What a text that fits is, is valid; not every valid text fits:
///
///  1. properties come in the order of the schema, each once; others only behind them, and only where
///     `additionalProperties` is given or `properties` is not;
///  2. oneOf is anyOf: of alternatives that overlap, several may hold;
///  3. values of `enum` and `const` are written compactly, strings that have a pattern or format with the
///     shortest escapes;
///  4. without `type`, the other keywords say which types are meant; without those, every one is;
///  5. space and numbers as json_rules has them; bounded numbers without exponents.
///
/// A keyword that is neither an annotation nor carried out is an error that names its JSON pointer.
class schema_reader {
public:
  /// `root`, which `$ref`s are about, must outlive this, and so must `to`.
  schema_reader(const boost::json::value& root, rules& to) : root_(root), to_(to), json_(to) {}

  result<expression> read();

private:
  using object = boost::json::object;
  using value = boost::json::value;

  expression schema(const value& schema, const std::string& pointer);
  expression schema_object(const object& schema, const std::string& pointer);
  expression one_of_branches(const object& schema, std::string_view keyword, const std::string& pointer);
  expression all_of(const object& schema, const std::string& pointer);
  expression referred(const object& schema, const std::string& pointer);
  expression listed(const object& schema, const std::string& pointer);
  expression of_type(std::string_view type, const object& schema, const std::string& pointer);

  expression string(const object& schema, const std::string& pointer);
  expression integer(const object& schema, const std::string& pointer);
  expression number(const object& schema, const std::string& pointer);

  std::optional<number_bound> bound(const object& schema, std::string_view keyword,
                                    const std::string& pointer);
  std::optional<number_bound> least_of(const object& schema, const std::string& pointer);
  std::optional<number_bound> most_of(const object& schema, const std::string& pointer);

  struct property {
    std::string name;
    bool required = false;
    rule_id member = -1;
  };
  expression object_of(const object& schema, const std::string& pointer);
  std::vector<property> properties_of(const object& schema, const std::string& pointer);
  std::optional<expression> additional_member(const object& schema, std::span<const property> declared,
                                              const std::string& pointer);
  expression members(std::span<const property> declared, const std::optional<expression>& additional);
  void check_counts(const object& schema, std::span<const property> declared, bool is_open,
                    const std::string& pointer);

  expression array_of(const object& schema, const std::string& pointer);
  expression items_behind(std::vector<expression> prefix, std::optional<expression> rest, int least,
                          int most);

  void check_keywords(const object& schema, const std::string& pointer);
  std::vector<std::string> types_of(const object& schema, const std::string& pointer);
  std::optional<int> count(const object& schema, std::string_view keyword, const std::string& pointer);
  /// What a reference names; null with a complaint.
  const value* target_of(std::string_view reference, const std::string& pointer);
  rule_id rule_of(const std::string& reference, const std::string& pointer);
  /// A schema that is not itself a reference.
  const value* resolved(const value& schema, const std::string& pointer);
  std::optional<object> merged(const object& a, const object& b, const std::string& pointer);
  void complain(const std::string& pointer, std::string_view what);

  const value& root_;
  rules& to_;
  json_rules json_;
  std::map<std::string, rule_id> known_; ///< by reference
  struct task {
    rule_id rule;
    const value* schema;
    std::string pointer;
  };
  std::deque<task> todo_; ///< rules of references whose bodies are still to be made
  int n_schemas_ = 0;
  int depth_ = 0;
  std::optional<failure> failure_;
};

} // namespace souffleur::grammar
