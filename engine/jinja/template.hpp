// A parsed template.
#pragma once

#include "engine/jinja/ast.hpp"
#include "engine/jinja/limits.hpp"
#include "engine/result.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace souffleur::jinja {

/// Jinja 3.1 as far as chat templates use it, set up as Hugging Face does. Immutable; rendering is
/// thread-safe.
///
/// Known differences: strings carry no HTML-safe mark; integers have 64 bits; case mapping is one code point
/// to one; map, select and their like are computed at once rather than item by item.
class template_program {
public:
  /// An error names what is wrong or not supported, and its line.
  static result<template_program> parse(std::string_view source);

  /// Fails where the template raises, meets a type error, or passes `bounds`.
  result<std::string> render(const boost::json::object& variables, const limits& bounds = {}) const;

private:
  explicit template_program(block statements) : statements_(std::move(statements)) {}
  block statements_;
};

} // namespace souffleur::jinja
