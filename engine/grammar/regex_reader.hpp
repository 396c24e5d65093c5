// Regular expressions (a subset of ECMA 262's) as expressions of a grammar.
#pragma once

#include "engine/grammar/expression.hpp"
#include "engine/result.hpp"

#include <string_view>

namespace souffleur::grammar {

/// How a pattern is held against a text: all of it has to match, or, as JSON schemas have it, some part.
enum class regex_match : std::uint8_t { whole, part };

/// Literals; . [a-z] [^a-z]; \d \D \w \W \s \S (ASCII's, but \s); \t \n \r \f \v \0 \xHH \uHHHH \u{H…} and
/// escaped punctuation; (…), (?:…), (?<name>…); | ; * + ? {m} {m,} {m,n}, also lazy; ^ and $ at the ends of
/// the pattern or of its topmost alternatives. The dot is any character but line ends. Not: assertions,
/// backreferences, \b, \p, flags; the error says where.
result<expression> read_regex(std::string_view pattern, regex_match match);

/// The same for what stands between the quotes of a JSON string: characters that need it are escaped, in the
/// shortest way. REQUIRES: characters, no bytes, as read_regex gives them.
expression as_json_text(const expression& of_characters);

} // namespace souffleur::grammar
