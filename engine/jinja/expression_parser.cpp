#include "engine/jinja/expression_parser.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/filters.hpp"
#include "engine/jinja/functions.hpp"
#include "engine/jinja/methods.hpp"
#include "engine/jinja/tests.hpp"

#include <algorithm>

namespace souffleur::jinja {
namespace {

int depth_of(const expression_ptr& e) { return e == nullptr ? 0 : e->depth; }

std::optional<binary_operator> product_operator(const token& t) {
  constexpr std::pair<std::string_view, binary_operator> operators[] = {{"*", binary_operator::multiply},
                                                                        {"/", binary_operator::divide},
                                                                        {"//", binary_operator::floor_divide},
                                                                        {"%", binary_operator::modulo}};
  for (const auto& [symbol, how] : operators) {
    if (t.is_symbol(symbol)) {
      return how;
    }
  }
  return std::nullopt;
}

/// The constant of a literal string, else null.
const std::string* constant_text(const expression_ptr& e) {
  const auto* constant = std::get_if<literal>(&e->node);
  return constant != nullptr && constant->constant.is(kind::text) ? &constant->constant.text() : nullptr;
}

} // namespace

expression_ptr expression_parser::make_at_depth(int line, expression::node_type node, int depth) {
  if (depth > max_syntax_depth) {
    tokens_.fail(line, "the template nests too deeply");
  }
  return std::make_unique<const expression>(expression{std::move(node), line, depth});
}

expression_ptr expression_parser::make(int line, expression::node_type node,
                                       std::initializer_list<const expression*> children) {
  int depth = 0;
  for (const expression* child : children) {
    depth = std::max(depth, child == nullptr ? 0 : child->depth);
  }
  return make_at_depth(line, std::move(node), depth + 1);
}

expression_ptr expression_parser::dummy() { return make(tokens_.line(), literal{}, {}); }

int expression_parser::depth_of(const call_arguments& given) {
  int depth = 0;
  for (const auto& e : given.positional) {
    depth = std::max(depth, e->depth);
  }
  for (const auto& [name, e] : given.keyword) {
    depth = std::max(depth, e->depth);
  }
  return depth;
}

expression_ptr expression_parser::parse_expression() {
  const token_stream::nested guard(tokens_);
  expression_ptr then = parse_or();
  while (tokens_.peek().is_name("if")) {
    const int line = tokens_.next().line;
    expression_ptr condition = parse_or();
    expression_ptr otherwise = tokens_.skip_name("else") ? parse_expression() : nullptr;
    const std::initializer_list<const expression*> children = {condition.get(), then.get(), otherwise.get()};
    then = make(line, conditional{std::move(condition), std::move(then), std::move(otherwise)}, children);
  }
  return then;
}

expression_ptr expression_parser::parse_tuple(bool with_conditional) {
  const int line = tokens_.line();
  const auto parse_item = [&] { return with_conditional ? parse_expression() : parse_unconditional(); };
  const auto at_end = [&] {
    const token& t = tokens_.peek();
    return t.kind == token_kind::output_end || t.kind == token_kind::block_end || t.kind == token_kind::end ||
           t.is_symbol(")") || t.is_symbol("]") || t.is_symbol("=");
  };
  expression_ptr first = parse_item();
  if (!tokens_.peek().is_symbol(",")) {
    return first;
  }
  int depth = first->depth;
  list_literal tuple{flavour::tuple, {}};
  tuple.items.push_back(std::move(first));
  while (tokens_.skip_symbol(",") && !at_end()) {
    tuple.items.push_back(parse_item());
    depth = std::max(depth, tuple.items.back()->depth);
  }
  return make_at_depth(line, std::move(tuple), depth + 1);
}

expression_ptr expression_parser::parse_or() {
  expression_ptr left = parse_and();
  while (tokens_.peek().is_name("or")) {
    const int line = tokens_.next().line;
    expression_ptr right = parse_and();
    const std::initializer_list<const expression*> children = {left.get(), right.get()};
    left = make(line, disjunction{std::move(left), std::move(right)}, children);
  }
  return left;
}

expression_ptr expression_parser::parse_and() {
  expression_ptr left = parse_not();
  while (tokens_.peek().is_name("and")) {
    const int line = tokens_.next().line;
    expression_ptr right = parse_not();
    const std::initializer_list<const expression*> children = {left.get(), right.get()};
    left = make(line, conjunction{std::move(left), std::move(right)}, children);
  }
  return left;
}

expression_ptr expression_parser::parse_not() {
  const token_stream::nested guard(tokens_);
  if (!tokens_.peek().is_name("not")) {
    return parse_comparison();
  }
  const int line = tokens_.next().line;
  expression_ptr operand = parse_not();
  const expression* child = operand.get();
  return make(line, negation{std::move(operand)}, {child});
}

std::optional<comparison> expression_parser::next_comparison() {
  constexpr std::pair<std::string_view, comparison> symbols[] = {
      {"==", comparison::equal},      {"!=", comparison::not_equal}, {"<", comparison::less},
      {"<=", comparison::less_equal}, {">", comparison::greater},    {">=", comparison::greater_equal}};
  for (const auto& [symbol, how] : symbols) {
    if (tokens_.skip_symbol(symbol)) {
      return how;
    }
  }
  if (tokens_.skip_name("in")) {
    return comparison::in;
  }
  if (tokens_.peek().is_name("not") && tokens_.peek(1).is_name("in")) {
    tokens_.next();
    tokens_.next();
    return comparison::not_in;
  }
  return std::nullopt;
}

expression_ptr expression_parser::parse_comparison() {
  const int line = tokens_.line();
  expression_ptr first = parse_sum();
  int depth = first->depth;
  comparison_chain chain;
  while (const auto how = next_comparison()) {
    chain.rest.emplace_back(*how, parse_sum());
    depth = std::max(depth, chain.rest.back().second->depth);
  }
  if (chain.rest.empty()) {
    return first;
  }
  chain.first = std::move(first);
  return make_at_depth(line, std::move(chain), depth + 1);
}

expression_ptr expression_parser::parse_sum() {
  expression_ptr left = parse_concatenation();
  while (tokens_.peek().is_symbol("+") || tokens_.peek().is_symbol("-")) {
    const token sign = tokens_.next();
    expression_ptr right = parse_concatenation();
    const std::initializer_list<const expression*> children = {left.get(), right.get()};
    const auto how = sign.text == "+" ? binary_operator::add : binary_operator::subtract;
    left = make(sign.line, binary{how, std::move(left), std::move(right)}, children);
  }
  return left;
}

expression_ptr expression_parser::parse_concatenation() {
  const int line = tokens_.line();
  expression_ptr first = parse_product();
  if (!tokens_.peek().is_symbol("~")) {
    return first;
  }
  int depth = first->depth;
  concatenation all;
  all.parts.push_back(std::move(first));
  while (tokens_.skip_symbol("~")) {
    all.parts.push_back(parse_product());
    depth = std::max(depth, all.parts.back()->depth);
  }
  return make_at_depth(line, std::move(all), depth + 1);
}

expression_ptr expression_parser::parse_product() {
  expression_ptr left = parse_power();
  while (const auto how = product_operator(tokens_.peek())) {
    const int line = tokens_.next().line;
    expression_ptr right = parse_power();
    const std::initializer_list<const expression*> children = {left.get(), right.get()};
    left = make(line, binary{*how, std::move(left), std::move(right)}, children);
  }
  return left;
}

expression_ptr expression_parser::parse_power() {
  expression_ptr left = parse_unary(true);
  while (tokens_.peek().is_symbol("**")) {
    const int line = tokens_.next().line;
    expression_ptr right = parse_unary(true);
    const std::initializer_list<const expression*> children = {left.get(), right.get()};
    left = make(line, binary{binary_operator::power, std::move(left), std::move(right)}, children);
  }
  return left;
}

expression_ptr expression_parser::parse_unary(bool with_filters) {
  const token_stream::nested guard(tokens_);
  expression_ptr node;
  if (tokens_.peek().is_symbol("-") || tokens_.peek().is_symbol("+")) {
    const token sign = tokens_.next();
    expression_ptr operand = parse_unary(false);
    const expression* child = operand.get();
    node = sign.text == "-" ? make(sign.line, unary_minus{std::move(operand)}, {child})
                            : make(sign.line, unary_plus{std::move(operand)}, {child});
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

expression_ptr expression_parser::parse_primary() {
  const token& t = tokens_.peek();
  const int line = t.line;
  switch (t.kind) {
  case token_kind::name:
    return parse_name();
  case token_kind::text:
    return parse_string();
  case token_kind::integer:
    return make(line, literal{value(tokens_.next().integer)}, {});
  case token_kind::real:
    return make(line, literal{value(tokens_.next().real)}, {});
  default:
    break;
  }
  if (tokens_.skip_symbol("(")) {
    return parse_parenthesized();
  }
  if (tokens_.skip_symbol("[")) {
    return parse_list();
  }
  if (tokens_.skip_symbol("{")) {
    return parse_dict();
  }
  tokens_.unexpected("an expression");
  return dummy();
}

expression_ptr expression_parser::parse_name() {
  const token t = tokens_.next();
  if (t.text == "true" || t.text == "True") {
    return make(t.line, literal{value(true)}, {});
  }
  if (t.text == "false" || t.text == "False") {
    return make(t.line, literal{value(false)}, {});
  }
  if (t.text == "none" || t.text == "None") {
    return make(t.line, literal{none{}}, {});
  }
  return make(t.line, variable{t.text}, {});
}

expression_ptr expression_parser::parse_string() {
  const int line = tokens_.line();
  std::string text;
  while (tokens_.peek().kind == token_kind::text) {
    text += tokens_.next().text;
  }
  return make(line, literal{value(std::move(text))}, {});
}

expression_ptr expression_parser::parse_parenthesized() {
  const int line = tokens_.line();
  if (tokens_.skip_symbol(")")) {
    return make(line, list_literal{flavour::tuple, {}}, {});
  }
  expression_ptr inside = parse_tuple(true);
  tokens_.expect_symbol(")");
  return inside;
}

expression_ptr expression_parser::parse_list() {
  const int line = tokens_.line();
  int depth = 0;
  list_literal list{flavour::list, {}};
  while (!tokens_.failed() && !tokens_.skip_symbol("]")) {
    if (!list.items.empty()) {
      tokens_.expect_symbol(",");
      if (tokens_.skip_symbol("]")) {
        break;
      }
    }
    list.items.push_back(parse_expression());
    depth = std::max(depth, list.items.back()->depth);
  }
  return make_at_depth(line, std::move(list), depth + 1);
}

expression_ptr expression_parser::parse_dict() {
  const int line = tokens_.line();
  int depth = 0;
  dict_literal dict;
  while (!tokens_.failed() && !tokens_.skip_symbol("}")) {
    if (!dict.entries.empty()) {
      tokens_.expect_symbol(",");
      if (tokens_.skip_symbol("}")) {
        break;
      }
    }
    expression_ptr key = parse_expression();
    tokens_.expect_symbol(":");
    dict.entries.emplace_back(std::move(key), parse_expression());
    depth = std::max({depth, dict.entries.back().first->depth, dict.entries.back().second->depth});
  }
  return make_at_depth(line, std::move(dict), depth + 1);
}

expression_ptr expression_parser::parse_postfixed() { return parse_postfix(parse_primary()); }

expression_ptr expression_parser::parse_postfix(expression_ptr object) {
  while (!tokens_.failed()) {
    if (tokens_.skip_symbol(".")) {
      object = parse_dot(std::move(object));
    } else if (tokens_.skip_symbol("[")) {
      object = parse_subscript(std::move(object));
    } else if (tokens_.peek().is_symbol("(")) {
      object = parse_call(std::move(object));
    } else {
      break;
    }
  }
  return object;
}

expression_ptr expression_parser::parse_dot(expression_ptr object) {
  const int line = tokens_.line();
  const expression* child = object.get();
  if (tokens_.peek().kind == token_kind::integer) {
    expression_ptr key = make(line, literal{value(tokens_.next().integer)}, {});
    return make(line, element_of{std::move(object), std::move(key)}, {child});
  }
  std::string name = tokens_.expect_name("the name of an attribute");
  return make(line, attribute_of{std::move(object), std::move(name)}, {child});
}

expression_ptr expression_parser::parse_subscript(expression_ptr object) {
  const int line = tokens_.line();
  expression_ptr bounds[3];
  std::size_t n_colons = 0;
  while (!tokens_.failed() && !tokens_.peek().is_symbol("]")) {
    if (tokens_.skip_symbol(":")) {
      if (++n_colons > 2) {
        tokens_.unexpected("']'");
      }
    } else if (bounds[n_colons] == nullptr) {
      bounds[n_colons] = parse_expression();
    } else {
      tokens_.unexpected("']'");
    }
  }
  tokens_.expect_symbol("]");
  if (n_colons == 0 && bounds[0] == nullptr && !tokens_.failed()) {
    tokens_.fail(line, "a subscript is empty");
  }
  const std::initializer_list<const expression*> children = {object.get(), bounds[0].get(), bounds[1].get(),
                                                             bounds[2].get()};
  if (n_colons == 0) {
    expression_ptr key = bounds[0] != nullptr ? std::move(bounds[0]) : dummy();
    return make(line, element_of{std::move(object), std::move(key)}, children);
  }
  return make(line,
              slice_of{std::move(object), std::move(bounds[0]), std::move(bounds[1]), std::move(bounds[2])},
              children);
}

void expression_parser::note_call(const expression& callee) {
  if (const auto* name = std::get_if<variable>(&callee.node)) {
    called_names_.push_back({name->name, callee.line});
  } else if (const auto* method = std::get_if<attribute_of>(&callee.node)) {
    called_methods_.push_back({method->name, callee.line});
  }
}

expression_ptr expression_parser::parse_call(expression_ptr callee) {
  const int line = tokens_.line();
  note_call(*callee);
  call_arguments given = parse_arguments();
  const int depth = std::max(callee->depth, depth_of(given)) + 1;
  return make_at_depth(line, call{std::move(callee), std::move(given)}, depth);
}

call_arguments expression_parser::parse_arguments() {
  call_arguments given;
  tokens_.expect_symbol("(");
  bool first = true;
  while (!tokens_.failed() && !tokens_.skip_symbol(")")) {
    if (!first) {
      tokens_.expect_symbol(",");
      if (tokens_.skip_symbol(")")) {
        break;
      }
    }
    first = false;
    if (tokens_.peek().is_symbol("*") || tokens_.peek().is_symbol("**")) {
      tokens_.fail(tokens_.line(), "'*' and '**' arguments are not supported");
    } else if (tokens_.peek().kind == token_kind::name && tokens_.peek(1).is_symbol("=")) {
      std::string name = tokens_.next().text;
      tokens_.next();
      given.keyword.emplace_back(std::move(name), parse_expression());
    } else if (!given.keyword.empty()) {
      tokens_.fail(tokens_.line(), "a positional argument follows a keyword argument");
    } else {
      given.positional.push_back(parse_expression());
    }
  }
  return given;
}

expression_ptr expression_parser::parse_filters_and_tests(expression_ptr input) {
  while (!tokens_.failed()) {
    if (tokens_.skip_symbol("|")) {
      input = parse_filter(std::move(input));
    } else if (tokens_.skip_name("is")) {
      input = parse_test(std::move(input));
    } else if (tokens_.peek().is_symbol("(")) {
      input = parse_call(std::move(input));
    } else {
      break;
    }
  }
  return input;
}

expression_ptr expression_parser::parse_filter(expression_ptr input) {
  const int line = tokens_.line();
  std::string name = tokens_.expect_name("the name of a filter");
  while (tokens_.skip_symbol(".")) {
    name += concat(".", tokens_.expect_name("the name of a filter"));
  }
  const filter* how = find_filter(name);
  if (how == nullptr) {
    tokens_.fail(line, concat("unknown filter '", name, "'"));
  }
  call_arguments given = tokens_.peek().is_symbol("(") ? parse_arguments() : call_arguments();
  check_indirect(name, given, line);
  const int depth = std::max(jinja::depth_of(input), depth_of(given)) + 1;
  return make_at_depth(line, filtered{std::move(input), how, std::move(given)}, depth);
}

/// The filter or test that `map`, `select` and their like are told to apply.
void expression_parser::check_indirect(std::string_view filter_name, const call_arguments& given, int line) {
  const bool by_attribute = filter_name == "selectattr" || filter_name == "rejectattr";
  const std::size_t place = by_attribute ? 1 : 0;
  const std::string* name =
      given.positional.size() > place ? constant_text(given.positional[place]) : nullptr;
  if (name == nullptr) {
    return;
  }
  if (filter_name == "map" && find_filter(*name) == nullptr) {
    tokens_.fail(line, concat("unknown filter '", *name, "'"));
  }
  if ((by_attribute || filter_name == "select" || filter_name == "reject") && find_test(*name) == nullptr) {
    tokens_.fail(line, concat("unknown test '", *name, "'"));
  }
}

expression_ptr expression_parser::parse_filters_of_block() {
  expression_ptr chain = parse_filter(nullptr);
  while (tokens_.skip_symbol("|")) {
    chain = parse_filter(std::move(chain));
  }
  return chain;
}

bool expression_parser::starts_test_argument() const {
  const token& t = tokens_.peek();
  switch (t.kind) {
  case token_kind::name:
    return !t.is_name("else") && !t.is_name("or") && !t.is_name("and");
  case token_kind::text:
  case token_kind::integer:
  case token_kind::real:
    return true;
  default:
    return t.is_symbol("[") || t.is_symbol("{");
  }
}

expression_ptr expression_parser::parse_test(expression_ptr input) {
  const int line = tokens_.line();
  const bool negated = tokens_.skip_name("not");
  const std::string name = tokens_.expect_name("the name of a test");
  const test* how = find_test(name);
  if (how == nullptr) {
    tokens_.fail(line, concat("unknown test '", name, "'"));
  }
  call_arguments given;
  if (tokens_.peek().is_symbol("(")) {
    given = parse_arguments();
  } else if (tokens_.peek().is_name("is")) {
    tokens_.fail(tokens_.line(), "tests cannot be chained with 'is'");
  } else if (starts_test_argument()) {
    given.positional.push_back(parse_postfixed());
  }
  const int depth = std::max(input->depth, depth_of(given)) + 1;
  return make_at_depth(line, tested{std::move(input), how, std::move(given), negated}, depth);
}

void expression_parser::check_calls() {
  for (const auto& [name, line] : called_names_) {
    if (!is_function_name(name) && !bound_names_.contains(name)) {
      tokens_.fail(line, concat("unknown function '", name, "'"));
    }
  }
  for (const auto& [name, line] : called_methods_) {
    if (!is_method_name(name) && !bound_attributes_.contains(name)) {
      tokens_.fail(line, concat("unknown method '", name, "'"));
    }
  }
}

} // namespace souffleur::jinja
