#include "engine/jinja/arguments.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/operators.hpp"

#include <algorithm>
#include <cassert>

namespace souffleur::jinja {

const value* arguments::find(std::string_view name) const {
  const auto at =
      std::find_if(keyword.begin(), keyword.end(), [&](const auto& k) { return k.first == name; });
  return at == keyword.end() ? nullptr : &at->second;
}

signature::signature(std::initializer_list<std::string_view> parameter_names, std::size_t required)
    : n_parameters(parameter_names.size()), n_required(required) {
  assert(n_parameters <= names.size());
  std::copy(parameter_names.begin(), parameter_names.end(), names.begin());
}

bound_arguments bound_arguments::bind(execution& run, std::string_view callee, const signature& expected,
                                      const arguments& given) {
  const std::string name(callee);
  bound_arguments bound;
  if (given.positional.size() > expected.n_parameters) {
    run.fail(concat(name, "() takes at most ", std::to_string(expected.n_parameters), " arguments"));
    return bound;
  }
  for (std::size_t i = 0; i < given.positional.size(); ++i) {
    bound.given_[i] = &given.positional[i];
  }
  for (const auto& [keyword, v] : given.keyword) {
    const auto end = expected.names.begin() + static_cast<std::ptrdiff_t>(expected.n_parameters);
    const auto at = std::find(expected.names.begin(), end, keyword);
    if (at == end) {
      run.fail(concat(name, "() has no parameter '", keyword, "'"));
      return bound;
    }
    bound.given_[static_cast<std::size_t>(at - expected.names.begin())] = &v;
  }
  for (std::size_t i = 0; i < expected.n_required; ++i) {
    if (!bound.has(i)) {
      run.fail(concat(name, "() needs the argument '", expected.names[i], "'"));
    }
  }
  return bound;
}

std::string_view bound_arguments::text_or(execution& run, std::size_t i, std::string_view fallback) const {
  if (!has(i)) {
    return fallback;
  }
  if (!given_[i]->is(kind::text)) {
    if (require_defined(run, *given_[i])) {
      run.fail(concat("expected a string, not ", type_name(*given_[i])));
    }
    return fallback;
  }
  return given_[i]->text();
}

std::int64_t bound_arguments::integer_or(execution& run, std::size_t i, std::int64_t fallback) const {
  if (!has(i)) {
    return fallback;
  }
  if (!given_[i]->is_integral()) {
    if (require_defined(run, *given_[i])) {
      run.fail(concat("expected an integer, not ", type_name(*given_[i])));
    }
    return fallback;
  }
  return given_[i]->integral();
}

bool bound_arguments::truth_or(std::size_t i, bool fallback) const {
  return has(i) ? truth(*given_[i]) : fallback;
}

} // namespace souffleur::jinja
