// Whether one model can draft for another.
#pragma once

#include "engine/result.hpp"
#include "engine/tokenizer.hpp"

#include <string>

namespace souffleur {

/// How many ids, from 0 on, mean the same to both; what only the larger vocabulary has beyond them (models of
/// one family are padded differently) is never drafted. A failure names the first id that means something
/// else to each.
result<int> shared_vocabulary(const tokenizer& target, const tokenizer& draft);

/// Covers what the ids below `n_tokens` mean: equal for two vocabularies that share them, on any machine.
/// REQUIRES: there are so many.
std::string vocabulary_fingerprint(const tokenizer& vocabulary, int n_tokens);

} // namespace souffleur
