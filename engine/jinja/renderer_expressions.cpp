#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/filters.hpp"
#include "engine/jinja/functions.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/renderer.hpp"
#include "engine/jinja/show.hpp"
#include "engine/jinja/tests.hpp"

namespace souffleur::jinja {

value renderer::evaluate(const expression& e) {
  const execution::nested guard(run_, e.line);
  return run_.step() ? std::visit([&](const auto& node) { return evaluate(node); }, e.node) : value();
}

value renderer::evaluate(const variable& e) {
  if (const value* found = scope_->find(run_, e.name)) {
    return *found;
  }
  return is_function_name(e.name)
             ? value(std::make_shared<const callable>(callable{e.name, std::nullopt, nullptr}))
             : make_undefined(run_, concat("'", e.name, "' is undefined"));
}

value renderer::evaluate(const list_literal& e) {
  std::vector<value> items;
  for (const expression_ptr& item : e.items) {
    items.push_back(evaluate(*item));
  }
  return make_sequence(run_, e.how, std::move(items));
}

value renderer::evaluate(const dict_literal& e) {
  dict made;
  for (const auto& [key, v] : e.entries) {
    value k = evaluate(*key);
    value item = evaluate(*v);
    if (!is_key(k)) {
      run_.fail(concat("a ", type_name(k), " cannot be a key"));
      return {};
    }
    made.set(std::move(k), std::move(item));
  }
  return make_dict(run_, std::move(made));
}

value renderer::evaluate(const attribute_of& e) { return attribute(run_, evaluate(*e.object), e.name); }

value renderer::evaluate(const element_of& e) {
  const value object = evaluate(*e.object);
  return subscript(run_, object, evaluate(*e.key));
}

value renderer::evaluate(const slice_of& e) {
  const value object = evaluate(*e.object);
  value bounds[3];
  const expression_ptr* parts[3] = {&e.start, &e.stop, &e.step};
  for (int i = 0; i < 3; ++i) {
    bounds[i] = *parts[i] != nullptr ? evaluate(**parts[i]) : value(none{});
  }
  return slice(run_, object, &bounds[0], &bounds[1], &bounds[2]);
}

value renderer::evaluate(const filtered& e) {
  const value input = evaluate(*e.input);
  const arguments given = evaluate_arguments(e.given);
  return run_.failed() ? value() : e.how->run(run_, input, given);
}

value renderer::apply_filters(const expression& chain, const value& input) {
  const execution::nested guard(run_, chain.line);
  const auto& e = std::get<filtered>(chain.node);
  const value inner = e.input == nullptr ? input : apply_filters(*e.input, input);
  const arguments given = evaluate_arguments(e.given);
  return run_.failed() ? value() : e.how->run(run_, inner, given);
}

value renderer::evaluate(const tested& e) {
  const value input = evaluate(*e.input);
  const arguments given = evaluate_arguments(e.given);
  return run_.failed() ? value() : value(e.how->run(run_, input, given) != e.negated);
}

value renderer::evaluate(const negation& e) { return value(!truth(evaluate(*e.operand))); }
value renderer::evaluate(const unary_minus& e) { return negate(run_, evaluate(*e.operand)); }

value renderer::evaluate(const unary_plus& e) {
  const value v = evaluate(*e.operand);
  if (!v.is_number() && require_defined(run_, v)) {
    run_.fail(concat("'+' does not take ", type_name(v)));
  }
  return v.is(kind::boolean) ? value(v.integral()) : v;
}

value renderer::evaluate(const binary& e) {
  const value left = evaluate(*e.left);
  const value right = evaluate(*e.right);
  return run_.failed() ? value() : calculate(run_, e.how, left, right);
}

value renderer::evaluate(const concatenation& e) {
  text_writer out(run_);
  for (const expression_ptr& part : e.parts) {
    write(out, run_, evaluate(*part));
  }
  return value(out.take());
}

value renderer::evaluate(const conjunction& e) {
  value left = evaluate(*e.left);
  return truth(left) ? evaluate(*e.right) : left;
}

value renderer::evaluate(const disjunction& e) {
  value left = evaluate(*e.left);
  return truth(left) ? left : evaluate(*e.right);
}

value renderer::evaluate(const comparison_chain& e) {
  value left = evaluate(*e.first);
  for (const auto& [how, operand] : e.rest) {
    value right = evaluate(*operand);
    if (run_.failed() || !compare(run_, how, left, right)) {
      return value(false);
    }
    left = std::move(right);
  }
  return value(true);
}

value renderer::evaluate(const conditional& e) {
  if (truth(evaluate(*e.condition))) {
    return evaluate(*e.then);
  }
  return e.otherwise != nullptr
             ? evaluate(*e.otherwise)
             : make_undefined(run_, "the inline 'if' has no 'else', and its condition is false");
}

arguments renderer::evaluate_arguments(const call_arguments& given) {
  arguments out;
  for (const expression_ptr& e : given.positional) {
    out.positional.push_back(evaluate(*e));
  }
  for (const auto& [name, e] : given.keyword) {
    out.keyword.emplace_back(name, evaluate(*e));
  }
  return out;
}

} // namespace souffleur::jinja
