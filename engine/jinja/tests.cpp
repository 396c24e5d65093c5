#include "engine/jinja/tests.hpp"

#include "engine/jinja/filters.hpp"
#include "engine/jinja/functions.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/show.hpp"
#include "engine/jinja/unicode.hpp"

#include <algorithm>
#include <cmath>

namespace souffleur::jinja {
namespace {

/// A test of the value alone.
template <auto holds>
bool plain(execution& run, const value& input, const arguments& given) {
  bound_arguments::bind(run, "this test", {}, given);
  return holds(input);
}

/// The one argument of a test; undefined, and the execution failed, if it is missing.
value operand(execution& run, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "this test", {{"other"}, 1}, given);
  return bound.has(0) ? *bound[0] : value();
}

template <comparison how>
bool compares(execution& run, const value& input, const arguments& given) {
  return compare(run, how, input, operand(run, given));
}

bool is_defined(const value& v) { return !v.is(kind::undefined); }
bool is_undefined(const value& v) { return v.is(kind::undefined); }
bool is_none(const value& v) { return v.is(kind::none); }
bool is_string(const value& v) { return v.is(kind::text); }
bool is_number(const value& v) { return v.is_number(); }
bool is_integer(const value& v) { return v.is(kind::integer); }
bool is_float(const value& v) { return v.is(kind::real); }
bool is_boolean(const value& v) { return v.is(kind::boolean); }
bool is_true(const value& v) { return v.is(kind::boolean) && v.boolean(); }
bool is_false(const value& v) { return v.is(kind::boolean) && !v.boolean(); }
bool is_mapping(const value& v) { return v.is(kind::dict); }
bool is_callable(const value& v) { return v.is(kind::callable) || v.is(kind::loop); }

bool is_iterable(const value& v) {
  return v.is(kind::text) || v.is(kind::sequence) || v.is(kind::dict) || v.is(kind::undefined) ||
         v.is(kind::loop);
}

bool is_sequence(const value& v) {
  if (v.is(kind::sequence)) {
    return v.items().how != flavour::generator && v.items().how != flavour::view;
  }
  return v.is(kind::text) || v.is(kind::dict) || v.is(kind::undefined);
}

bool leaves(execution& run, const value& input, std::int64_t divisor, double remainder) {
  const value rest = calculate(run, binary_operator::modulo, input, value(divisor));
  return rest.is_number() && rest.number() == remainder;
}

bool is_odd(execution& run, const value& input, const arguments&) { return leaves(run, input, 2, 1); }
bool is_even(execution& run, const value& input, const arguments&) { return leaves(run, input, 2, 0); }
bool is_divisible(execution& run, const value& input, const arguments& given) {
  const value rest = calculate(run, binary_operator::modulo, input, operand(run, given));
  return rest.is_number() && rest.number() == 0;
}

bool is_same(execution& run, const value& input, const arguments& given) {
  const value other = operand(run, given);
  return input.type() == other.type() &&
         (input.identity() != nullptr && !input.is(kind::text) ? input.identity() == other.identity()
                                                               : equal(run, input, other));
}

/// str.islower() and its like: some letter has the case, and none has the other.
template <auto wanted, auto unwanted>
bool has_case(execution& run, const value& input, const arguments&) {
  const std::u32string text = decode(to_text(run, input));
  return std::any_of(text.begin(), text.end(), wanted) && std::none_of(text.begin(), text.end(), unwanted);
}

bool names_filter(execution&, const value& input, const arguments&) {
  return input.is(kind::text) && find_filter(input.text()) != nullptr;
}
bool names_test(execution&, const value& input, const arguments&) {
  return input.is(kind::text) && find_test(input.text()) != nullptr;
}

constexpr test table[] = {{"defined", plain<is_defined>},
                          {"undefined", plain<is_undefined>},
                          {"none", plain<is_none>},
                          {"string", plain<is_string>},
                          {"number", plain<is_number>},
                          {"integer", plain<is_integer>},
                          {"float", plain<is_float>},
                          {"boolean", plain<is_boolean>},
                          {"true", plain<is_true>},
                          {"false", plain<is_false>},
                          {"mapping", plain<is_mapping>},
                          {"iterable", plain<is_iterable>},
                          {"sequence", plain<is_sequence>},
                          {"callable", plain<is_callable>},
                          {"odd", is_odd},
                          {"even", is_even},
                          {"divisibleby", is_divisible},
                          {"sameas", is_same},
                          {"lower", has_case<is_lower, is_upper>},
                          {"upper", has_case<is_upper, is_lower>},
                          {"filter", names_filter},
                          {"test", names_test},
                          {"in", compares<comparison::in>},
                          {"eq", compares<comparison::equal>},
                          {"equalto", compares<comparison::equal>},
                          {"==", compares<comparison::equal>},
                          {"ne", compares<comparison::not_equal>},
                          {"!=", compares<comparison::not_equal>},
                          {"lt", compares<comparison::less>},
                          {"lessthan", compares<comparison::less>},
                          {"<", compares<comparison::less>},
                          {"le", compares<comparison::less_equal>},
                          {"<=", compares<comparison::less_equal>},
                          {"gt", compares<comparison::greater>},
                          {"greaterthan", compares<comparison::greater>},
                          {">", compares<comparison::greater>},
                          {"ge", compares<comparison::greater_equal>},
                          {">=", compares<comparison::greater_equal>}};

} // namespace

const test* find_test(std::string_view name) {
  const auto* at =
      std::find_if(std::begin(table), std::end(table), [&](const test& t) { return t.name == name; });
  return at == std::end(table) ? nullptr : at;
}

} // namespace souffleur::jinja
