// Arguments of a call, and how they meet the parameters of a built-in function.
#pragma once

#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

#include <array>
#include <initializer_list>
#include <span>

namespace souffleur::jinja {

struct arguments {
  std::vector<value> positional;
  std::vector<std::pair<std::string_view, value>> keyword;

  const value* find(std::string_view name) const;
};

/// Names of a built-in's parameters in order; the first `n_required` must be given.
struct signature {
  signature() = default;
  signature(std::initializer_list<std::string_view> parameter_names, std::size_t required = 0);
  std::array<std::string_view, 5> names;
  std::size_t n_parameters = 0;
  std::size_t n_required = 0;
};

/// Every parameter's argument, or null where none was given.
class bound_arguments {
public:
  /// Fails the execution if a required argument is missing, or one fits no parameter.
  static bound_arguments bind(execution& run, std::string_view callee, const signature& expected,
                              const arguments& given);

  const value* operator[](std::size_t i) const { return given_[i]; }
  bool has(std::size_t i) const { return given_[i] != nullptr; }
  /// The argument as a string, integer or truth value; fails if it is given and of another type.
  std::string_view text_or(execution& run, std::size_t i, std::string_view fallback) const;
  std::int64_t integer_or(execution& run, std::size_t i, std::int64_t fallback) const;
  bool truth_or(std::size_t i, bool fallback) const;

private:
  std::array<const value*, 5> given_{};
};

} // namespace souffleur::jinja
