// Evaluates a syntax tree.
#pragma once

#include "engine/jinja/arguments.hpp"
#include "engine/jinja/ast.hpp"
#include "engine/jinja/execution.hpp"
#include "engine/jinja/scope.hpp"

#include <memory>
#include <vector>

namespace souffleur::jinja {

/// One rendering. What it evaluates refers to its namespaces and must not outlive it.
class renderer {
public:
  renderer(execution& run, std::vector<std::pair<std::string, value>> variables);

  /// The text of the template; meaningless if the execution has failed.
  std::string render(const block& statements);

private:
  enum class flow { on, next_item, leave_loop };

  // -- statements (renderer_statements.cpp) ---
  flow execute(const block& statements);
  flow execute(const statement& s);
  flow execute(const output_text& s);
  flow execute(const output_value& s);
  flow execute(const if_statement& s);
  flow execute(const for_statement& s);
  flow execute(const set_statement& s);
  flow execute(const set_block& s);
  flow execute(const macro_statement& s);
  flow execute(const call_block& s);
  flow execute(const filter_block& s);
  flow execute(const with_block& s);
  flow execute(const break_statement&) { return flow::leave_loop; }
  flow execute(const continue_statement&) { return flow::next_item; }
  std::vector<value> items_of(const for_statement& s);
  void assign(const target& where, value v);
  void unpack(const std::vector<target>& parts, const value& v);
  value capture(const block& body, flow& end);

  // -- expressions (renderer_expressions.cpp) ---
  value evaluate(const expression& e);
  value evaluate(const literal& e) { return e.constant; }
  value evaluate(const variable& e);
  value evaluate(const list_literal& e);
  value evaluate(const dict_literal& e);
  value evaluate(const attribute_of& e);
  value evaluate(const element_of& e);
  value evaluate(const slice_of& e);
  value evaluate(const call& e) { return invoke(e, {}); }
  value evaluate(const filtered& e);
  value evaluate(const tested& e);
  value evaluate(const negation& e);
  value evaluate(const unary_minus& e);
  value evaluate(const unary_plus& e);
  value evaluate(const binary& e);
  value evaluate(const concatenation& e);
  value evaluate(const conjunction& e);
  value evaluate(const disjunction& e);
  value evaluate(const comparison_chain& e);
  value evaluate(const conditional& e);
  value apply_filters(const expression& chain, const value& input);
  arguments evaluate_arguments(const call_arguments& given);

  // -- calls (renderer_calls.cpp) ---
  /// `extra` goes behind the keyword arguments: the caller of a call block.
  value invoke(const call& e, std::vector<std::pair<std::string_view, value>> extra);
  value call_value(const value& callee, const arguments& given);
  value call_macro(const macro_closure& macro, const arguments& given);
  void bind_parameters(const macro_definition& macro, const arguments& given);
  value make_namespace(const arguments& given);
  value make_macro(const std::shared_ptr<const macro_definition>& definition);

  /// Makes a scope inside the current one, or inside `home`, current for a while.
  class inner_scope {
  public:
    inner_scope(renderer& r, std::shared_ptr<scope> home) : renderer_(r), outer_(std::move(r.scope_)) {
      r.scope_ = std::make_shared<scope>(std::move(home));
    }
    ~inner_scope() { renderer_.scope_ = std::move(outer_); }
    inner_scope(const inner_scope&) = delete;
    inner_scope& operator=(const inner_scope&) = delete;

  private:
    renderer& renderer_;
    std::shared_ptr<scope> outer_;
  };

  execution& run_;
  std::vector<std::pair<std::string, value>> variables_;
  std::vector<std::unique_ptr<name_space>> spaces_;
  std::shared_ptr<scope> scope_;
  text_writer* out_ = nullptr;
};

} // namespace souffleur::jinja
