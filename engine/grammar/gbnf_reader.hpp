// Grammars in GBNF, llama.cpp's notation.
#pragma once

#include "engine/grammar/expression.hpp"
#include "engine/result.hpp"

#include <string_view>

namespace souffleur::grammar {

/// Rules `name ::= …` of which one is `root`; "literals", [classes], ., (groups), |, * + ? {m} {m,} {m,n},
/// # comments; escapes \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH. Rules may call each other, later
/// ones, too, but none itself before it has read something (left recursion). Not: tokens by number. The error
/// says where.
result<rules> read_gbnf(std::string_view text);

} // namespace souffleur::grammar
