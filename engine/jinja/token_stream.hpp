// What the parsers read from: tokens, and the first error.
#pragma once

#include "engine/jinja/concat.hpp"
#include "engine/jinja/lexer.hpp"
#include "engine/jinja/limits.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souffleur::jinja {

/// After a failure every token is `end`, so that parsers come to their own end without checking.
class token_stream {
public:
  /// REQUIRES: the last token is `end`.
  explicit token_stream(std::vector<token> tokens) : tokens_(std::move(tokens)) {}

  const token& peek(std::size_t n = 0) const { return tokens_[std::min(position_ + n, tokens_.size() - 1)]; }
  int line() const { return peek().line; }
  token next() {
    token t = peek();
    position_ += position_ + 1 < tokens_.size() ? 1 : 0;
    return t;
  }

  bool skip_symbol(std::string_view s) { return skip_if(peek().is_symbol(s)); }
  bool skip_name(std::string_view s) { return skip_if(peek().is_name(s)); }
  void expect_symbol(std::string_view s) {
    if (!skip_symbol(s)) {
      unexpected(concat("'", s, "'"));
    }
  }
  void expect(token_kind k, std::string_view what) {
    if (!skip_if(peek().kind == k)) {
      unexpected(what);
    }
  }
  std::string expect_name(std::string_view what) {
    if (peek().kind != token_kind::name) {
      unexpected(what);
      return {};
    }
    return next().text;
  }

  void fail(int line, std::string_view what) {
    if (!error_) {
      error_ = concat("line ", std::to_string(line), ": ", what);
    }
    position_ = tokens_.size() - 1;
  }
  void unexpected(std::string_view wanted) {
    const std::string found =
        peek().kind == token_kind::end ? "the end of the template" : concat("'", peek().text, "'");
    fail(line(), concat("expected ", wanted, ", found ", found));
  }
  bool failed() const { return error_.has_value(); }
  const std::optional<std::string>& error() const { return error_; }

  /// Counts the nesting of parsers, and fails where it is too deep.
  class nested {
  public:
    explicit nested(token_stream& tokens) : tokens_(tokens) {
      if (++tokens_.depth_ > max_syntax_depth) {
        tokens_.fail(tokens_.line(), "the template nests too deeply");
      }
    }
    ~nested() { --tokens_.depth_; }
    nested(const nested&) = delete;
    nested& operator=(const nested&) = delete;

  private:
    token_stream& tokens_;
  };

private:
  bool skip_if(bool condition) {
    if (condition) {
      next();
    }
    return condition;
  }

  std::vector<token> tokens_;
  std::size_t position_ = 0;
  int depth_ = 0;
  std::optional<std::string> error_;
};

} // namespace souffleur::jinja
