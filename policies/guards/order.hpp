// Who does what to whom: the words of a text in their order and their roles.
#pragma once

#include "policies/guards/words.hpp"

#include <string>
#include <vector>

namespace souffleur::guards {

/// A word that says something.
struct actor_word {
  std::string stem;
  std::string role; ///< the last word before it, in its clause, that gives one ("from", "than"); may be empty
  bool is_listed = false; ///< "and", "or" or a comma joins it to a neighbour
};

std::vector<actor_word> actors_of(const std::vector<word>& words);

/// Two words have changed places: each has the other's role, or they stand on the other sides of a third. Not
/// so if they are items of a list. Empty: none have; else the two words.
std::string exchanged(const std::vector<actor_word>& a, const std::vector<actor_word>& b);

} // namespace souffleur::guards
