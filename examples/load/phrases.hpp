// The material that workloads are made of.
#pragma once

#include "examples/load/seeded_random.hpp"

#include <string>

namespace souffleur::load {

/// A thing that one can ask about.
const std::string& any_subject(seeded_random& random);
std::size_t n_subjects();
const std::string& subject(std::size_t i);

/// A question about a subject.
std::string any_question(seeded_random& random);
/// Sentences of `n_words` words in all, that say nothing.
std::string any_prose(seeded_random& random, int n_words);
/// `n` common words without an order.
std::string any_words(seeded_random& random, int n);

/// Two ways to ask the same; `i` counts kinds of questions.
std::string worded(std::size_t i, std::size_t wording, const std::string& about);
std::size_t n_kinds();
std::size_t n_wordings();
/// Two questions that look alike and mean opposite things.
std::pair<std::string, std::string> opposites(std::size_t i, const std::string& about);
std::size_t n_opposites();

/// A source file, and an order to change a name in it.
std::pair<std::string, std::string> any_code_edit(seeded_random& random);

} // namespace souffleur::load
