// Drafts by prompt lookup: what followed the last few words the last time they were said.
#include <souffleur/engine/drafting/prompt_lookup.hpp>

#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

int main() {
  const std::string text =
      "the lamp is lit at six and the boats come home at seven . they say that the lamp is lit";
  std::map<std::string, souffleur::token_id> ids; // a vocabulary of whole words
  std::vector<std::string> words;
  std::vector<souffleur::token_id> tokens;
  std::istringstream in{text};
  for (std::string word; in >> word;) {
    const auto [known, is_new] = ids.emplace(word, static_cast<souffleur::token_id>(ids.size()));
    if (is_new)
      words.push_back(word);
    tokens.push_back(known->second);
  }
  souffleur::prompt_lookup drafter;
  drafter.append(tokens);
  const auto draft = drafter.propose(6);
  std::printf("%s ...\ndraft (the last %d words were found earlier):", text.c_str(), draft.match_length);
  for (const auto token : draft.tokens())
    std::printf(" %s", words[static_cast<std::size_t>(token)].c_str());
  std::printf("\n");
  return draft.nodes.size() == 6 ? 0 : 1;
}
