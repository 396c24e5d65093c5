#include "engine/jinja/template.hpp"

#include "engine/jinja/factory.hpp"
#include "engine/jinja/parser.hpp"
#include "engine/jinja/renderer.hpp"

#include <new>

namespace souffleur::jinja {

result<template_program> template_program::parse(std::string_view source) {
  auto statements = parse_template(source);
  if (!statements) {
    return failure{statements.error()};
  }
  return template_program(std::move(*statements));
}

result<std::string> template_program::render(const boost::json::object& variables,
                                             const limits& bounds) const {
  execution run(bounds);
  std::vector<std::pair<std::string, value>> converted;
  for (const auto& [name, v] : variables) {
    converted.emplace_back(name, from_json(run, v));
  }
  renderer one(run, std::move(converted));
  std::string text = one.render(statements_);
  if (run.failed()) {
    return failure{run.error()};
  }
  return text;
}

} // namespace souffleur::jinja
