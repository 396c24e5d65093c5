// Template source to tokens, with Jinja's whitespace control.
#pragma once

#include "engine/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::jinja {

enum class token_kind {
  data,
  output_begin,
  output_end,
  block_begin,
  block_end,
  name,
  text,
  integer,
  real,
  symbol,
  end
};

struct token {
  token_kind kind = token_kind::end;
  std::string text; ///< data and strings: the text meant; names and symbols: as written
  int line = 1;
  std::int64_t integer = 0;
  double real = 0;

  bool is(token_kind k, std::string_view t) const { return kind == k && text == t; }
  bool is_symbol(std::string_view t) const { return is(token_kind::symbol, t); }
  bool is_name(std::string_view t) const { return is(token_kind::name, t); }
};

/// Jinja's lexer with trim_blocks and lstrip_blocks on and keep_trailing_newline off, as Hugging Face sets
/// it. Comments are dropped, raw blocks become data; the last token is `end`.
result<std::vector<token>> tokenize(std::string_view source);

} // namespace souffleur::jinja
