// Syntax trees of templates. Immutable after parsing; shared between threads.
#pragma once

#include "engine/jinja/operators.hpp"
#include "engine/jinja/value.hpp"

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace souffleur::jinja {

struct filter;
struct test;
struct expression;
using expression_ptr = std::unique_ptr<const expression>;

struct call_arguments {
  std::vector<expression_ptr> positional;
  std::vector<std::pair<std::string, expression_ptr>> keyword;
};

struct literal {
  value constant;
};
struct variable {
  std::string name;
};
struct list_literal {
  flavour how; ///< list or tuple
  std::vector<expression_ptr> items;
};
struct dict_literal {
  std::vector<std::pair<expression_ptr, expression_ptr>> entries;
};
struct attribute_of {
  expression_ptr object;
  std::string name;
};
struct element_of {
  expression_ptr object;
  expression_ptr key;
};
struct slice_of {
  expression_ptr object;
  expression_ptr start, stop, step; ///< null: left out
};
struct call {
  expression_ptr callee;
  call_arguments given;
};
struct filtered {
  expression_ptr input; ///< null: the text of the block that is filtered
  const filter* how;
  call_arguments given;
};
struct tested {
  expression_ptr input;
  const test* how;
  call_arguments given;
  bool negated;
};
struct negation {
  expression_ptr operand;
};
struct unary_minus {
  expression_ptr operand;
};
struct unary_plus {
  expression_ptr operand;
};
struct binary {
  binary_operator how;
  expression_ptr left, right;
};
struct concatenation {
  std::vector<expression_ptr> parts;
};
struct conjunction {
  expression_ptr left, right;
};
struct disjunction {
  expression_ptr left, right;
};
struct comparison_chain {
  expression_ptr first;
  std::vector<std::pair<comparison, expression_ptr>> rest;
};
struct conditional {
  expression_ptr condition;
  expression_ptr then;
  expression_ptr otherwise; ///< null: undefined
};

struct expression {
  using node_type = std::variant<literal, variable, list_literal, dict_literal, attribute_of, element_of,
                                 slice_of, call, filtered, tested, negation, unary_minus, unary_plus, binary,
                                 concatenation, conjunction, disjunction, comparison_chain, conditional>;
  node_type node;
  int line;
  int depth; ///< of the tree below and with this node
};

struct statement;
using block = std::vector<statement>;

/// What `set` and `for` assign to: a name, an attribute of a namespace, or a tuple of targets.
struct target {
  std::string name;
  std::string attribute;     ///< not empty: `name` is a namespace
  std::vector<target> parts; ///< not empty: a tuple
};

struct output_text {
  std::string text;
};
struct output_value {
  expression_ptr what;
};
struct if_statement {
  std::vector<std::pair<expression_ptr, block>> branches;
  block otherwise;
};
struct for_statement {
  target item;
  expression_ptr over;
  expression_ptr condition; ///< null: all items
  block body;
  block otherwise;
};
struct set_statement {
  target where;
  expression_ptr what;
};
struct set_block {
  target where;
  expression_ptr filters; ///< null, or a chain of filters over the block's text
  block body;
};
struct macro_definition {
  std::string name;
  std::vector<std::pair<std::string, expression_ptr>> parameters; ///< null: no default
  block body;
};
struct macro_statement {
  std::shared_ptr<const macro_definition> macro;
};
struct call_block {
  expression_ptr callee; ///< a call
  std::shared_ptr<const macro_definition> caller;
};
struct filter_block {
  expression_ptr filters;
  block body;
};
struct with_block {
  std::vector<std::pair<target, expression_ptr>> assignments;
  block body;
};
struct break_statement {};
struct continue_statement {};

struct statement {
  using node_type = std::variant<output_text, output_value, if_statement, for_statement, set_statement,
                                 set_block, macro_statement, call_block, filter_block, with_block,
                                 break_statement, continue_statement>;
  node_type node;
  int line;
};

} // namespace souffleur::jinja
