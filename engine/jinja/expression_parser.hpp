// Parser of expressions, with Jinja's precedences.
#pragma once

#include "engine/jinja/ast.hpp"
#include "engine/jinja/token_stream.hpp"

#include <initializer_list>
#include <set>

namespace souffleur::jinja {

/// Never returns null; after a failure the trees mean nothing.
class expression_parser {
public:
  explicit expression_parser(token_stream& tokens) : tokens_(tokens) {}

  expression_ptr parse_expression();
  /// Without a trailing `if ... else`: what stands after `in` and `if`.
  expression_ptr parse_unconditional() { return parse_or(); }
  /// One expression, or several with commas between them: a tuple.
  expression_ptr parse_tuple(bool with_conditional);
  /// `name` or `name(...)`, chained with '|'. The input of the innermost is null.
  expression_ptr parse_filters_of_block();
  /// A primary with what follows it: what `call` calls.
  expression_ptr parse_postfixed();

  /// The template binds this name, or a namespace's attribute, somewhere: it may be called.
  void bind_name(const std::string& name) { bound_names_.insert(name); }
  void bind_attribute(const std::string& name) { bound_attributes_.insert(name); }
  /// Fails if a function or method is called that cannot exist.
  void check_calls();

private:
  struct called_name {
    std::string name;
    int line;
  };

  expression_ptr make(int line, expression::node_type node,
                      std::initializer_list<const expression*> children);
  expression_ptr make_at_depth(int line, expression::node_type node, int depth);
  expression_ptr dummy();

  expression_ptr parse_or();
  expression_ptr parse_and();
  expression_ptr parse_not();
  expression_ptr parse_comparison();
  std::optional<comparison> next_comparison();
  expression_ptr parse_sum();
  expression_ptr parse_concatenation();
  expression_ptr parse_product();
  expression_ptr parse_power();
  expression_ptr parse_unary(bool with_filters);
  expression_ptr parse_primary();
  expression_ptr parse_name();
  expression_ptr parse_string();
  expression_ptr parse_parenthesized();
  expression_ptr parse_list();
  expression_ptr parse_dict();
  expression_ptr parse_postfix(expression_ptr object);
  expression_ptr parse_dot(expression_ptr object);
  expression_ptr parse_subscript(expression_ptr object);
  expression_ptr parse_call(expression_ptr callee);
  call_arguments parse_arguments();
  expression_ptr parse_filters_and_tests(expression_ptr input);
  expression_ptr parse_filter(expression_ptr input);
  expression_ptr parse_test(expression_ptr input);
  bool starts_test_argument() const;
  void note_call(const expression& callee);
  void check_indirect(std::string_view filter_name, const call_arguments& given, int line);
  static int depth_of(const call_arguments& given);

  token_stream& tokens_;
  std::set<std::string> bound_names_;
  std::set<std::string> bound_attributes_;
  std::vector<called_name> called_names_;
  std::vector<called_name> called_methods_;
};

} // namespace souffleur::jinja
