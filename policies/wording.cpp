#include "policies/wording.hpp"

#include "policies/guards/language.hpp"
#include "policies/guards/words.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

namespace souffleur {

namespace {

/// FNV-1a: the same in every process. Two stems that share a hash only look more alike than they are.
std::uint64_t hash_of(std::string_view stem) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char byte : stem)
    hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

bool has_no_spaces(std::string_view script) {
  constexpr std::array all = {"han", "kana", "thai"};
  return std::find(all.begin(), all.end(), script) != all.end();
}

} // namespace

std::vector<std::uint64_t> content_words(std::string_view text) {
  if (has_no_spaces(guards::script_of(text)))
    return {};
  std::vector<std::uint64_t> hashes;
  for (const auto& word : guards::words_of(text)) {
    if (hashes.size() == most_content_words)
      break;
    if (word.is_number)
      hashes.push_back(std::bit_cast<std::uint64_t>(word.number));
    else if (!guards::is_function_word(word.text))
      hashes.push_back(hash_of(word.stem));
  }
  std::ranges::sort(hashes);
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  return hashes;
}

} // namespace souffleur
