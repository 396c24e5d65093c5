#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/filters.hpp"
#include "engine/jinja/number_text.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/show.hpp"

#include <cmath>

namespace souffleur::jinja {
namespace {

value default_filter(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "default", {"default_value", "boolean"}, given);
  if (input.is(kind::undefined) || (bound.truth_or(1, false) && !truth(input))) {
    return bound.has(0) ? *bound[0] : value(std::string());
  }
  return input;
}

/// `indent` is a number of spaces or the text itself; null or none: all in one line.
std::optional<std::string> json_indent(execution& run, const bound_arguments& bound, std::size_t place) {
  if (!bound.has(place) || bound[place]->is(kind::none)) {
    return std::nullopt;
  }
  if (bound[place]->is(kind::text)) {
    return bound[place]->text();
  }
  const std::int64_t width = bound.integer_or(run, place, 0);
  return text_writer(run).append(static_cast<std::size_t>(width < 0 ? 0 : width), ' ').take();
}

void set_separators(execution& run, const value& given, json_style& style) {
  if (given.is(kind::none)) {
    return;
  }
  const auto parts = iterate(run, given);
  if (parts.size() != 2 || !parts[0].is(kind::text) || !parts[1].is(kind::text)) {
    run.fail("separators must be two strings");
    return;
  }
  style.item_separator = parts[0].text();
  style.key_separator = parts[1].text();
}

/// Hugging Face's, not Jinja's own, which would escape for HTML.
value tojson(execution& run, const value& input, const arguments& given) {
  const auto bound =
      bound_arguments::bind(run, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, given);
  json_style style;
  style.ascii = bound.truth_or(0, false);
  style.indent = json_indent(run, bound, 1);
  style.item_separator = style.indent ? "," : ", ";
  if (bound.has(2)) {
    set_separators(run, *bound[2], style);
  }
  style.sort_keys = bound.truth_or(3, false);
  text_writer out(run);
  write_json(out, run, input, style);
  return value(out.take());
}

value int_filter(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "int", {"default", "base"}, given);
  const value otherwise = bound.has(0) ? *bound[0] : value(std::int64_t{0});
  const std::int64_t base = bound.integer_or(run, 1, 10);
  if (input.is(kind::undefined)) {
    require_defined(run, input);
    return {};
  }
  if (input.is_integral()) {
    return value(input.integral());
  }
  if (input.is(kind::text)) {
    if (const auto whole = parse_integer(input.text(), base)) {
      return value(*whole);
    }
  }
  const auto real = input.is(kind::real)   ? std::optional(input.number())
                    : input.is(kind::text) ? parse_real(input.text())
                                           : std::nullopt;
  return real && std::fabs(*real) < 9.2e18 ? value(static_cast<std::int64_t>(*real)) : otherwise;
}

value float_filter(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "float", {"default"}, given);
  const value otherwise = bound.has(0) ? *bound[0] : value(0.0);
  if (input.is(kind::undefined)) {
    require_defined(run, input);
    return {};
  }
  if (input.is_number()) {
    return value(input.number());
  }
  const auto real = input.is(kind::text) ? parse_real(input.text()) : std::nullopt;
  return real ? value(*real) : otherwise;
}

bool require_number(execution& run, const value& input, std::string_view callee) {
  if (!input.is_number() && require_defined(run, input)) {
    run.fail(concat(callee, " needs a number, not ", type_name(input)));
  }
  return !run.failed();
}

value abs_filter(execution& run, const value& input, const arguments&) {
  if (!require_number(run, input, "abs")) {
    return {};
  }
  return input.number() < 0 ? negate(run, input) : input.is(kind::boolean) ? value(input.integral()) : input;
}

value round_filter(execution& run, const value& input, const arguments& given) {
  const auto bound = bound_arguments::bind(run, "round", {"precision", "method"}, given);
  const std::int64_t precision = bound.integer_or(run, 0, 0);
  const std::string_view method = bound.text_or(run, 1, "common");
  if (!require_number(run, input, "round")) {
    return {};
  }
  if (method == "common") {
    return input.is_integral() && precision >= 0 ? value(input.integral())
                                                 : value(round_half_even(input.number(), precision));
  }
  if (method != "ceil" && method != "floor") {
    run.fail("round's method is 'common', 'ceil' or 'floor'");
    return {};
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.number() * scale;
  return value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

constexpr filter table[] = {{"default", default_filter}, {"d", default_filter},   {"tojson", tojson},
                            {"int", int_filter},         {"float", float_filter}, {"abs", abs_filter},
                            {"round", round_filter}};

} // namespace

std::span<const filter> value_filters() { return table; }

} // namespace souffleur::jinja
