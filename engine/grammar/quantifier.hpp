// The quantifiers that regular expressions and GBNF have in common.
#pragma once

#include "engine/grammar/expression.hpp"
#include "engine/grammar/text_reader.hpp"

#include <utility>

namespace souffleur::grammar {

/// Goes past `*`, `+` or `?` and repeats `part` as it says; false if none is next.
inline bool take_quantifier(text_reader& text, expression& part) {
  if (text.take(U'*'))
    part = repeated(std::move(part), 0, unlimited);
  else if (text.take(U'+'))
    part = repeated(std::move(part), 1, unlimited);
  else if (text.take(U'?'))
    part = repeated(std::move(part), 0, 1);
  else
    return false;
  return true;
}

} // namespace souffleur::grammar
