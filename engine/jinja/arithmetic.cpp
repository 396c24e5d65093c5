#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/operators.hpp"

#include <cmath>
#include <limits>

namespace souffleur::jinja {
namespace {

constexpr std::string_view symbol_of(binary_operator how) {
  constexpr std::string_view symbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return symbols[static_cast<std::size_t>(how)];
}

value type_error(execution& run, binary_operator how, const value& a, const value& b) {
  if (require_defined(run, a) && require_defined(run, b)) {
    run.fail(concat("'", symbol_of(how), "' does not take ", type_name(a), " and ", type_name(b)));
  }
  return {};
}

value overflow(execution& run) {
  run.fail("an integer grows beyond 64 bits");
  return {};
}

value division_by_zero(execution& run) {
  run.fail("division by zero");
  return {};
}

value integer_power(execution& run, std::int64_t base, std::int64_t exponent) {
  std::int64_t power = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(power, base, &power)) {
      return overflow(run);
    }
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) {
      return overflow(run);
    }
  }
  return value(power);
}

/// Rounded towards minus infinity, so that remainders have the divisor's sign.
value floor_divide(execution& run, std::int64_t a, std::int64_t b, bool want_remainder) {
  if (b == -1) {
    std::int64_t negated = 0;
    return want_remainder                                         ? value(std::int64_t{0})
           : __builtin_sub_overflow(std::int64_t{0}, a, &negated) ? overflow(run)
                                                                  : value(negated);
  }
  std::int64_t quotient = a / b;
  std::int64_t remainder = a % b;
  if (remainder != 0 && (remainder < 0) != (b < 0)) {
    remainder += b;
    --quotient;
  }
  return value(want_remainder ? remainder : quotient);
}

value of_integers(execution& run, binary_operator how, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  switch (how) {
  case binary_operator::add:
    return __builtin_add_overflow(a, b, &out) ? overflow(run) : value(out);
  case binary_operator::subtract:
    return __builtin_sub_overflow(a, b, &out) ? overflow(run) : value(out);
  case binary_operator::multiply:
    return __builtin_mul_overflow(a, b, &out) ? overflow(run) : value(out);
  case binary_operator::divide:
    return b == 0 ? division_by_zero(run) : value(static_cast<double>(a) / static_cast<double>(b));
  case binary_operator::floor_divide:
  case binary_operator::modulo:
    return b == 0 ? division_by_zero(run) : floor_divide(run, a, b, how == binary_operator::modulo);
  case binary_operator::power:
    return b >= 0   ? integer_power(run, a, b)
           : a == 0 ? division_by_zero(run)
                    : value(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  return {};
}

double python_modulo(double a, double b) {
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : std::copysign(remainder, b);
}

value of_reals(execution& run, binary_operator how, double a, double b) {
  switch (how) {
  case binary_operator::add:
    return value(a + b);
  case binary_operator::subtract:
    return value(a - b);
  case binary_operator::multiply:
    return value(a * b);
  case binary_operator::divide:
    return b == 0 ? division_by_zero(run) : value(a / b);
  case binary_operator::floor_divide:
    return b == 0 ? division_by_zero(run) : value(std::floor((a - python_modulo(a, b)) / b + 0.5));
  case binary_operator::modulo:
    return b == 0 ? division_by_zero(run) : value(python_modulo(a, b));
  case binary_operator::power:
    break;
  }
  if (a == 0 && b < 0) {
    return division_by_zero(run);
  }
  const double power = std::pow(a, b);
  if (!std::isfinite(power) && std::isfinite(a) && std::isfinite(b)) {
    run.fail("'**' has no finite result");
  }
  return value(power);
}

value add_sequences(execution& run, const value& a, const value& b) {
  std::vector<value> items = a.items().items;
  items.insert(items.end(), b.items().items.begin(), b.items().items.end());
  return make_sequence(run, a.items().how, std::move(items));
}

bool is_concrete(const value& v) {
  return v.is(kind::sequence) && (v.items().how == flavour::list || v.items().how == flavour::tuple);
}

value repeat(execution& run, const value& v, std::int64_t times) {
  const auto n = static_cast<std::size_t>(times < 0 ? 0 : times);
  if (v.is(kind::text)) {
    text_writer out(run);
    for (std::size_t i = 0; i < n && run.step(); ++i) {
      out.append(v.text());
    }
    return value(out.take());
  }
  std::vector<value> items;
  const auto& source = v.items().items;
  for (std::size_t i = 0; i < n && run.step(1 + static_cast<std::int64_t>(source.size())); ++i) {
    if (run.create(source.size() * sizeof(value))) {
      items.insert(items.end(), source.begin(), source.end());
    }
  }
  return make_sequence(run, v.items().how, std::move(items));
}

bool is_repeatable(const value& v) { return v.is(kind::text) || is_concrete(v); }

} // namespace

value calculate(execution& run, binary_operator how, const value& a, const value& b) {
  if (a.is_integral() && b.is_integral()) {
    return of_integers(run, how, a.integral(), b.integral());
  }
  if (a.is_number() && b.is_number()) {
    return of_reals(run, how, a.number(), b.number());
  }
  if (how == binary_operator::add && a.is(kind::text) && b.is(kind::text)) {
    return value(text_writer(run).append(a.text()).append(b.text()).take());
  }
  if (how == binary_operator::add && is_concrete(a) && is_concrete(b) && a.items().how == b.items().how) {
    return add_sequences(run, a, b);
  }
  if (how == binary_operator::multiply && is_repeatable(a) && b.is_integral()) {
    return repeat(run, a, b.integral());
  }
  if (how == binary_operator::multiply && a.is_integral() && is_repeatable(b)) {
    return repeat(run, b, a.integral());
  }
  return type_error(run, how, a, b);
}

value negate(execution& run, const value& v) {
  if (v.is(kind::real)) {
    return value(-v.number());
  }
  if (v.is_integral()) {
    return of_integers(run, binary_operator::subtract, 0, v.integral());
  }
  if (require_defined(run, v)) {
    run.fail(concat("'-' does not take ", type_name(v)));
  }
  return {};
}

} // namespace souffleur::jinja
