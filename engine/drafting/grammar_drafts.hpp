// What a grammar does to drafts: it takes out what it forbids, and proposes what it leaves no choice about.
#pragma once

#include "engine/grammar/token_grammar.hpp"
#include "engine/tokenizer.hpp"
#include "policies/draft_tree.hpp"

namespace souffleur {

/// The draft without tokens that may not follow what `text` has read, and without what comes after them.
/// Tokens that end a text go, too.
draft_tree cut_by_grammar(const draft_tree& draft, const grammar::grammar_cursor& text);

/// Where only one text can follow, its tokens as the tokenizer cuts it, at most `n_most`. The model may cut
/// it otherwise, so this is a draft like others.
draft_tree forced_draft(const tokenizer& vocabulary, const grammar::grammar_cursor& text, int n_most);

} // namespace souffleur
