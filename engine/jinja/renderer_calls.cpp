#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/functions.hpp"
#include "engine/jinja/methods.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/renderer.hpp"

#include <algorithm>

namespace souffleur::jinja {

value renderer::invoke(const call& e, std::vector<std::pair<std::string_view, value>> extra) {
  const value callee = evaluate(*e.callee);
  arguments given = evaluate_arguments(e.given);
  std::move(extra.begin(), extra.end(), std::back_inserter(given.keyword));
  return run_.failed() ? value() : call_value(callee, given);
}

value renderer::call_value(const value& callee, const arguments& given) {
  if (!callee.is(kind::callable)) {
    if (require_defined(run_, callee)) {
      run_.fail(concat(type_name(callee), " cannot be called"));
    }
    return {};
  }
  const callable& what = callee.function();
  if (what.macro != nullptr) {
    return call_macro(*what.macro, given);
  }
  if (what.receiver) {
    return call_method(run_, *what.receiver, what.name, given);
  }
  return what.name == "namespace" ? make_namespace(given) : call_function(run_, what.name, given);
}

value renderer::make_macro(const std::shared_ptr<const macro_definition>& definition) {
  auto closure = std::make_shared<const macro_closure>(macro_closure{definition, scope_});
  return value(
      std::make_shared<const callable>(callable{definition->name, std::nullopt, std::move(closure)}));
}

value renderer::make_namespace(const arguments& given) {
  auto space = std::make_unique<name_space>();
  const dict attributes = merge_arguments(run_, "namespace", given);
  run_.create(sizeof(name_space) + attributes.size() * 2 * sizeof(value));
  for (const auto& [name, v] : attributes.entries()) {
    if (name.is(kind::text)) {
      space->attributes.emplace_back(name.text(), v);
    }
  }
  spaces_.push_back(std::move(space));
  return value(spaces_.back().get());
}

value renderer::call_macro(const macro_closure& macro, const arguments& given) {
  const std::shared_ptr<scope> home = macro.home.lock();
  if (home == nullptr) {
    run_.fail(concat("the macro '", macro.definition->name, "' is called outside the block that defines it"));
    return {};
  }
  const inner_scope guard(*this, home);
  bind_parameters(*macro.definition, given);
  flow end = flow::on;
  return run_.failed() ? value() : capture(macro.definition->body, end);
}

void renderer::bind_parameters(const macro_definition& macro, const arguments& given) {
  const auto& parameters = macro.parameters;
  if (given.positional.size() > parameters.size()) {
    return run_.fail(
        concat("macro '", macro.name, "' takes at most ", std::to_string(parameters.size()), " arguments"));
  }
  for (const auto& [name, v] : given.keyword) {
    const auto named = [&name = name](const auto& p) { return p.first == name; };
    const auto at = std::find_if(parameters.begin(), parameters.end(), named);
    if (at == parameters.end() && name != "caller") {
      return run_.fail(concat("macro '", macro.name, "' has no parameter '", name, "'"));
    }
    scope_->set(run_, name, v);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, otherwise] = parameters[i];
    if (i < given.positional.size()) {
      scope_->set(run_, name, given.positional[i]);
    } else if (given.find(name) == nullptr) {
      scope_->set(run_, name,
                  otherwise != nullptr
                      ? evaluate(*otherwise)
                      : make_undefined(run_, concat("parameter '", name, "' was not provided")));
    }
  }
}

} // namespace souffleur::jinja
