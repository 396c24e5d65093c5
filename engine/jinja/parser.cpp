#include "engine/jinja/parser.hpp"

#include "engine/jinja/concat.hpp"
#include "engine/jinja/expression_parser.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace souffleur::jinja {
namespace {

using words = std::initializer_list<std::string_view>;

class template_parser {
public:
  explicit template_parser(std::vector<token> tokens) : tokens_(std::move(tokens)), expressions_(tokens_) {}

  result<block> run() {
    block all = parse_block("", {});
    expressions_.check_calls();
    if (tokens_.failed()) {
      return failure{*tokens_.error()};
    }
    return all;
  }

private:
  /// Statements up to a tag that starts with one of `ends`; its name is the next token.
  block parse_block(std::string_view opener, words ends) {
    const token_stream::nested guard(tokens_);
    const int first_line = tokens_.line();
    block statements;
    while (tokens_.peek().kind != token_kind::end) {
      const int line = tokens_.line();
      if (tokens_.peek().kind == token_kind::data) {
        statements.push_back({output_text{tokens_.next().text}, line});
      } else if (tokens_.peek().kind == token_kind::output_begin) {
        tokens_.next();
        statements.push_back({output_value{expressions_.parse_tuple(true)}, line});
        tokens_.expect(token_kind::output_end, "'}}'");
      } else {
        tokens_.expect(token_kind::block_begin, "a tag");
        if (std::find(ends.begin(), ends.end(), tokens_.peek().text) != ends.end()) {
          return statements;
        }
        parse_statement(statements, line);
      }
    }
    if (!opener.empty()) {
      tokens_.fail(first_line, concat("'", opener, "' has no end"));
    }
    return statements;
  }

  void parse_statement(block& into, int line) {
    using parse_function = void (template_parser::*)(block&, int);
    static constexpr std::pair<std::string_view, parse_function> parsers[] = {
        {"if", &template_parser::parse_if},       {"for", &template_parser::parse_for},
        {"set", &template_parser::parse_set},     {"macro", &template_parser::parse_macro},
        {"call", &template_parser::parse_call},   {"filter", &template_parser::parse_filter},
        {"with", &template_parser::parse_with},   {"generation", &template_parser::parse_generation},
        {"break", &template_parser::parse_break}, {"continue", &template_parser::parse_continue}};
    const std::string name = tokens_.expect_name("the name of a statement");
    for (const auto& [word, parse] : parsers) {
      if (name == word) {
        (this->*parse)(into, line);
        return;
      }
    }
    if (!tokens_.failed()) {
      tokens_.fail(line, concat("the statement '", name, "' is not supported here"));
    }
  }

  void end_tag() { tokens_.expect(token_kind::block_end, "'%}'"); }

  block parse_body(std::string_view opener, words ends) {
    end_tag();
    return parse_block(opener, ends);
  }

  /// The rest of a block that ends with the tag `end`.
  block parse_body_to(std::string_view opener, std::string_view end) {
    block body = parse_body(opener, {end});
    tokens_.next();
    end_tag();
    return body;
  }

  void parse_if(block& into, int line) {
    if_statement made;
    do {
      expression_ptr condition = expressions_.parse_tuple(false);
      made.branches.emplace_back(std::move(condition), parse_body("if", {"elif", "else", "endif"}));
    } while (tokens_.skip_name("elif"));
    if (tokens_.skip_name("else")) {
      made.otherwise = parse_body("if", {"endif"});
    }
    tokens_.next();
    end_tag();
    into.push_back({std::move(made), line});
  }

  void parse_for(block& into, int line) {
    for_statement made;
    made.item = parse_target(false);
    if (!tokens_.skip_name("in")) {
      tokens_.unexpected("'in'");
    }
    made.over = expressions_.parse_tuple(false);
    made.condition = tokens_.skip_name("if") ? expressions_.parse_expression() : nullptr;
    if (tokens_.peek().is_name("recursive")) {
      tokens_.fail(line, "recursive loops are not supported");
    }
    expressions_.bind_name("loop");
    ++loop_depth_;
    made.body = parse_body("for", {"else", "endfor"});
    --loop_depth_;
    if (tokens_.skip_name("else")) {
      made.otherwise = parse_body("for", {"endfor"});
    }
    tokens_.next();
    end_tag();
    into.push_back({std::move(made), line});
  }

  /// One target, or several with commas between them.
  target parse_target(bool may_be_attribute) {
    target first = parse_single_target(may_be_attribute);
    if (!tokens_.peek().is_symbol(",")) {
      return first;
    }
    target all;
    all.parts.push_back(std::move(first));
    while (tokens_.skip_symbol(",") && !tokens_.peek().is_symbol("=") && !tokens_.peek().is_name("in")) {
      all.parts.push_back(parse_single_target(false));
    }
    return all;
  }

  target parse_single_target(bool may_be_attribute) {
    const token_stream::nested guard(tokens_);
    if (tokens_.skip_symbol("(")) {
      target inside = parse_target(false);
      tokens_.expect_symbol(")");
      return inside;
    }
    const int line = tokens_.line();
    target made;
    made.name = tokens_.expect_name("the name of a variable");
    static constexpr std::array<std::string_view, 6> constants = {"true",  "True", "false",
                                                                  "False", "none", "None"};
    if (std::find(constants.begin(), constants.end(), made.name) != constants.end()) {
      tokens_.fail(line, concat("cannot assign to '", made.name, "'"));
    }
    if (may_be_attribute && tokens_.skip_symbol(".")) {
      made.attribute = tokens_.expect_name("the name of an attribute");
      expressions_.bind_attribute(made.attribute);
    } else {
      expressions_.bind_name(made.name);
    }
    return made;
  }

  void parse_set(block& into, int line) {
    target where = parse_target(true);
    if (tokens_.skip_symbol("=")) {
      expression_ptr what = expressions_.parse_tuple(true);
      end_tag();
      into.push_back({set_statement{std::move(where), std::move(what)}, line});
      return;
    }
    expression_ptr filters = tokens_.skip_symbol("|") ? expressions_.parse_filters_of_block() : nullptr;
    block body = parse_body_to("set", "endset");
    into.push_back({set_block{std::move(where), std::move(filters), std::move(body)}, line});
  }

  std::vector<std::pair<std::string, expression_ptr>> parse_parameters() {
    std::vector<std::pair<std::string, expression_ptr>> parameters;
    tokens_.expect_symbol("(");
    while (!tokens_.failed() && !tokens_.skip_symbol(")")) {
      if (!parameters.empty()) {
        tokens_.expect_symbol(",");
        if (tokens_.skip_symbol(")")) {
          break;
        }
      }
      const int line = tokens_.line();
      std::string name = parse_single_target(false).name;
      expression_ptr otherwise = tokens_.skip_symbol("=") ? expressions_.parse_expression() : nullptr;
      if (otherwise == nullptr && !parameters.empty() && parameters.back().second != nullptr) {
        tokens_.fail(line, "a parameter without default follows one with default");
      }
      parameters.emplace_back(std::move(name), std::move(otherwise));
    }
    return parameters;
  }

  /// A body that loops outside cannot be left from.
  block parse_function_body(std::string_view opener, std::string_view end) {
    const int outer_loops = std::exchange(loop_depth_, 0);
    block body = parse_body_to(opener, end);
    loop_depth_ = outer_loops;
    return body;
  }

  void parse_macro(block& into, int line) {
    auto made = std::make_shared<macro_definition>();
    made->name = tokens_.expect_name("the name of a macro");
    expressions_.bind_name(made->name);
    made->parameters = parse_parameters();
    made->body = parse_function_body("macro", "endmacro");
    into.push_back({macro_statement{std::move(made)}, line});
  }

  void parse_call(block& into, int line) {
    auto caller = std::make_shared<macro_definition>();
    caller->name = "caller";
    expressions_.bind_name("caller");
    if (tokens_.peek().is_symbol("(")) {
      caller->parameters = parse_parameters();
    }
    expression_ptr callee = expressions_.parse_postfixed();
    if (!std::holds_alternative<call>(callee->node)) {
      tokens_.fail(line, "'call' needs a call");
    }
    caller->body = parse_function_body("call", "endcall");
    into.push_back({call_block{std::move(callee), std::move(caller)}, line});
  }

  void parse_filter(block& into, int line) {
    expression_ptr filters = expressions_.parse_filters_of_block();
    into.push_back({filter_block{std::move(filters), parse_body_to("filter", "endfilter")}, line});
  }

  void parse_with(block& into, int line) {
    with_block made;
    while (tokens_.peek().kind == token_kind::name) {
      target where = parse_single_target(false);
      tokens_.expect_symbol("=");
      made.assignments.emplace_back(std::move(where), expressions_.parse_expression());
      if (!tokens_.skip_symbol(",")) {
        break;
      }
    }
    made.body = parse_body_to("with", "endwith");
    into.push_back({std::move(made), line});
  }

  /// Marks for training what the assistant said; nothing to rendering.
  void parse_generation(block& into, int line) {
    into.push_back({with_block{{}, parse_body_to("generation", "endgeneration")}, line});
  }

  void require_loop(std::string_view word, int line) {
    if (loop_depth_ == 0) {
      tokens_.fail(line, concat("'", word, "' outside a loop"));
    }
  }
  void parse_break(block& into, int line) {
    require_loop("break", line);
    end_tag();
    into.push_back({break_statement{}, line});
  }
  void parse_continue(block& into, int line) {
    require_loop("continue", line);
    end_tag();
    into.push_back({continue_statement{}, line});
  }

  token_stream tokens_;
  expression_parser expressions_;
  int loop_depth_ = 0;
};

} // namespace

result<block> parse_template(std::string_view source) {
  auto tokens = tokenize(source);
  if (!tokens) {
    return failure{tokens.error()};
  }
  return template_parser(std::move(*tokens)).run();
}

} // namespace souffleur::jinja
