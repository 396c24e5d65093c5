#include "engine/jinja/concat.hpp"
#include "engine/jinja/factory.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/renderer.hpp"
#include "engine/jinja/show.hpp"

namespace souffleur::jinja {

renderer::renderer(execution& run, std::vector<std::pair<std::string, value>> variables)
    : run_(run), variables_(std::move(variables)), scope_(std::make_shared<scope>(nullptr)) {
  for (const auto& [name, v] : variables_) {
    scope_->set(run_, name, v);
  }
}

std::string renderer::render(const block& statements) {
  text_writer out(run_);
  out_ = &out;
  execute(statements);
  return out.take();
}

renderer::flow renderer::execute(const block& statements) {
  for (const statement& s : statements) {
    if (!run_.step()) {
      break;
    }
    const flow end = execute(s);
    if (end != flow::on) {
      return end;
    }
  }
  return flow::on;
}

renderer::flow renderer::execute(const statement& s) {
  const execution::nested guard(run_, s.line);
  return run_.failed() ? flow::on : std::visit([&](const auto& node) { return execute(node); }, s.node);
}

renderer::flow renderer::execute(const output_text& s) {
  out_->append(s.text);
  return flow::on;
}

renderer::flow renderer::execute(const output_value& s) {
  write(*out_, run_, evaluate(*s.what));
  return flow::on;
}

renderer::flow renderer::execute(const if_statement& s) {
  for (const auto& [condition, body] : s.branches) {
    if (truth(evaluate(*condition))) {
      return execute(body);
    }
    if (run_.failed()) {
      return flow::on;
    }
  }
  return execute(s.otherwise);
}

std::vector<value> renderer::items_of(const for_statement& s) {
  std::vector<value> all = iterate(run_, evaluate(*s.over));
  if (s.condition == nullptr) {
    return all;
  }
  std::vector<value> kept;
  for (value& item : all) {
    const inner_scope guard(*this, scope_);
    if (!run_.step()) {
      break;
    }
    assign(s.item, item);
    if (truth(evaluate(*s.condition))) {
      kept.push_back(std::move(item));
    }
  }
  return kept;
}

renderer::flow renderer::execute(const for_statement& s) {
  auto loop = std::make_shared<loop_state>();
  loop->items = items_of(s);
  for (const value& item : loop->items) {
    loop->depth = std::max(loop->depth, item.depth() + 1);
  }
  if (loop->items.empty()) {
    const inner_scope guard(*this, scope_);
    return execute(s.otherwise);
  }
  for (loop->index = 0; loop->index < loop->items.size() && run_.step(); ++loop->index) {
    const inner_scope guard(*this, scope_);
    assign(s.item, loop->items[loop->index]);
    scope_->set(run_, "loop", value(loop));
    if (execute(s.body) == flow::leave_loop) {
      break;
    }
  }
  return flow::on;
}

void renderer::assign(const target& where, value v) {
  if (!where.parts.empty()) {
    return unpack(where.parts, v);
  }
  if (where.attribute.empty()) {
    return scope_->set(run_, where.name, std::move(v));
  }
  const value* holder = scope_->find(run_, where.name);
  if (holder == nullptr || !holder->is(kind::name_space)) {
    return run_.fail(concat("cannot assign to an attribute of '", where.name, "': it is not a namespace"));
  }
  holder->space().set(where.attribute, std::move(v));
}

void renderer::unpack(const std::vector<target>& parts, const value& v) {
  if (!require_defined(run_, v)) {
    return;
  }
  const std::vector<value> items = iterate(run_, v);
  if (items.size() != parts.size()) {
    return run_.fail(concat("cannot unpack ", std::to_string(items.size()), " values into ",
                            std::to_string(parts.size()), " names"));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    assign(parts[i], items[i]);
  }
}

renderer::flow renderer::execute(const set_statement& s) {
  assign(s.where, evaluate(*s.what));
  return flow::on;
}

value renderer::capture(const block& body, flow& end) {
  text_writer inner(run_);
  text_writer* const outer = std::exchange(out_, &inner);
  end = execute(body);
  out_ = outer;
  return value(inner.take());
}

renderer::flow renderer::execute(const set_block& s) {
  flow end = flow::on;
  value text;
  {
    const inner_scope guard(*this, scope_);
    text = capture(s.body, end);
    if (s.filters != nullptr) {
      text = apply_filters(*s.filters, text);
    }
  }
  assign(s.where, std::move(text));
  return end;
}

renderer::flow renderer::execute(const macro_statement& s) {
  scope_->set(run_, s.macro->name, make_macro(s.macro));
  return flow::on;
}

renderer::flow renderer::execute(const call_block& s) {
  const auto& callee = std::get<call>(s.callee->node);
  write(*out_, run_, invoke(callee, {{"caller", make_macro(s.caller)}}));
  return flow::on;
}

renderer::flow renderer::execute(const filter_block& s) {
  flow end = flow::on;
  const inner_scope guard(*this, scope_);
  const value text = capture(s.body, end);
  write(*out_, run_, apply_filters(*s.filters, text));
  return end;
}

renderer::flow renderer::execute(const with_block& s) {
  std::vector<value> values;
  for (const auto& [where, what] : s.assignments) {
    values.push_back(evaluate(*what));
  }
  const inner_scope guard(*this, scope_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    assign(s.assignments[i].first, std::move(values[i]));
  }
  return execute(s.body);
}

} // namespace souffleur::jinja
