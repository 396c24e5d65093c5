// schema_reader's objects and arrays.
#include "engine/grammar/json_literal.hpp"
#include "engine/grammar/json_pointer.hpp"
#include "engine/grammar/schema_reader.hpp"

#include <algorithm>

namespace souffleur::grammar {

namespace json = boost::json;

std::vector<schema_reader::property> schema_reader::properties_of(const object& schema,
                                                                  const std::string& pointer) {
  std::vector<property> declared;
  std::vector<std::string> required;
  if (const auto* names = schema.if_contains("required")) {
    if (!names->is_array() || !std::ranges::all_of(names->get_array(), &json::value::is_string))
      complain(below(pointer, "required"), "must be an array of strings");
    else
      for (const auto& name : names->get_array())
        required.emplace_back(name.get_string());
  }
  const auto add = [&](const std::string& name, expression what) {
    const bool is_required = std::ranges::find(required, name) != required.end();
    auto key = bytes(json_literal(json::string(name)));
    declared.push_back(
        {name, is_required, to_.add("\"" + name + "\"", json_.member(std::move(key), std::move(what)))});
  };
  if (const auto* properties = schema.if_contains("properties")) {
    if (!properties->is_object())
      complain(below(pointer, "properties"), "must be an object");
    else
      for (const auto& [name, of_name] : properties->get_object()) {
        const auto here = below(below(pointer, "properties"), name);
        if (of_name == json::value(false) && std::ranges::find(required, std::string{name}) == required.end())
          continue; // it may not be there
        add(name, this->schema(of_name, here));
      }
  }
  const auto* additional = schema.if_contains("additionalProperties");
  for (const auto& name : required) {
    if (std::ranges::find(declared, name, &property::name) != declared.end())
      continue;
    if (additional != nullptr && *additional == json::value(false))
      complain(below(pointer, "required"), "has \"" + name + "\", which additionalProperties forbids");
    add(name, additional != nullptr ? this->schema(*additional, below(pointer, "additionalProperties"))
                                    : json_.value());
  }
  return declared;
}

std::optional<expression> schema_reader::additional_member(const object& schema,
                                                           std::span<const property> declared,
                                                           const std::string& pointer) {
  std::string keyword = "additionalProperties";
  const auto* additional = schema.if_contains(keyword);
  if (additional == nullptr) {
    keyword = "unevaluatedProperties";
    additional = schema.if_contains(keyword);
  }
  if (additional == nullptr ? !declared.empty() : *additional == json::value(false))
    return std::nullopt;
  std::vector<std::string> names;
  for (const auto& one : declared)
    names.push_back(one.name);
  if (const auto* properties = schema.if_contains("properties");
      properties != nullptr && properties->is_object())
    for (const auto& [name, of_name] : properties->get_object())
      names.emplace_back(name);
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  auto what = additional == nullptr ? json_.value() : this->schema(*additional, below(pointer, keyword));
  return call(to_.add("additional property", json_.member(json_.string_but(names), std::move(what))));
}

void schema_reader::check_counts(const object& schema, std::span<const property> declared, bool is_open,
                                 const std::string& pointer) {
  const auto n_required = std::ranges::count_if(declared, &property::required);
  if (const auto least = count(schema, "minProperties", pointer); least && *least > n_required)
    complain(below(pointer, "minProperties"), "is only supported up to the number of required properties");
  if (const auto most = count(schema, "maxProperties", pointer);
      most && (is_open || *most < static_cast<int>(declared.size())))
    complain(below(pointer, "maxProperties"),
             "is only supported from the number of properties on, where there are no additional ones");
}

expression schema_reader::object_of(const object& schema, const std::string& pointer) {
  const auto declared = properties_of(schema, pointer);
  const auto additional = additional_member(schema, declared, pointer);
  check_counts(schema, declared, additional.has_value(), pointer);
  return json_.comma_list("{", members(declared, additional), "}");
}

/// One rule for "something comes before, a comma is due" and one for "nothing yet", for each property.
expression schema_reader::members(std::span<const property> declared,
                                  const std::optional<expression>& additional) {
  auto behind =
      sequence({additional ? repeated(sequence({json_.comma(), *additional}), 0, unlimited) : sequence({}),
                json_.space()});
  auto rest = call(to_.add("more properties", std::move(behind)));
  auto first = additional ? choice({sequence({}), sequence({*additional, rest})}) : sequence({});
  for (auto one = declared.rbegin(); one != declared.rend(); ++one) {
    auto begun = sequence({call(one->member), rest});
    auto continued = sequence({json_.comma(), call(one->member), rest});
    first = one->required ? std::move(begun) : choice({std::move(begun), std::move(first)});
    rest = call(to_.add("more properties",
                        one->required ? std::move(continued) : choice({std::move(continued), rest})));
    first = call(to_.add("properties", std::move(first)));
  }
  return first;
}

expression schema_reader::array_of(const object& schema, const std::string& pointer) {
  const auto least = count(schema, "minItems", pointer).value_or(0);
  const auto most = count(schema, "maxItems", pointer).value_or(unlimited);
  std::vector<expression> prefix;
  const auto* items = schema.if_contains("items");
  const bool is_old_form = items != nullptr && items->is_array();
  const std::string prefix_keyword = is_old_form ? "items" : "prefixItems";
  const std::string rest_keyword = is_old_form ? "additionalItems" : "items";
  if (const auto* given = schema.if_contains(prefix_keyword)) {
    if (!given->is_array())
      complain(below(pointer, prefix_keyword), "must be an array");
    else
      for (const auto& one : given->get_array())
        prefix.push_back(this->schema(one, below(below(pointer, prefix_keyword), prefix.size())));
  }
  std::optional<expression> rest;
  const auto* given = schema.if_contains(rest_keyword);
  if (given == nullptr)
    rest = json_.value();
  else if (*given != json::value(false))
    rest = this->schema(*given, below(pointer, rest_keyword));
  return json_.comma_list("[", items_behind(std::move(prefix), std::move(rest), least, most), "]");
}

expression schema_reader::items_behind(std::vector<expression> prefix, std::optional<expression> rest,
                                       int least, int most) {
  if (most != unlimited && most < least)
    return nothing();
  if (rest)
    rest = call(to_.add("item", std::move(*rest)));
  auto n_prefix = static_cast<int>(prefix.size());
  if (most != unlimited && most < n_prefix) {
    n_prefix = most;
    prefix.resize(static_cast<std::size_t>(most));
    rest.reset();
  }
  if (rest && prefix.empty() && most != 0) { // the first one is special: there is no comma before it
    prefix.push_back(*rest);
    n_prefix = 1;
  }
  const int n_more_least = std::max(0, least - n_prefix);
  const int n_more_most = most == unlimited ? unlimited : most - n_prefix;
  if (n_more_least > 0 && !rest)
    return nothing();
  auto behind =
      rest ? sequence({repeated(sequence({json_.comma(), *rest}), n_more_least, n_more_most), json_.space()})
           : json_.space();
  for (int i = n_prefix - 1; i >= 0; --i) {
    const bool may_end = i >= least;
    auto next = i == 0 ? sequence({prefix[0], std::move(behind)})
                       : sequence({json_.comma(), prefix[static_cast<std::size_t>(i)], std::move(behind)});
    auto end = i == 0 ? sequence({}) : json_.space();
    behind = may_end ? choice({std::move(next), std::move(end)}) : std::move(next);
    behind = call(to_.add("items", std::move(behind)));
  }
  return n_prefix == 0 ? sequence({}) : behind;
}

} // namespace souffleur::grammar
