#include "engine/kv/page_key.hpp"

#include <xxhash.h>

#include <algorithm>

namespace souffleur {

std::uint64_t hash_after(std::uint64_t before, const page_key& page) {
  return XXH3_64bits_withSeed(page.data(), sizeof page, before);
}

std::vector<page_key> to_page_keys(std::span<const token_id> tokens) {
  auto keys = std::vector<page_key>(tokens.size() / page_tokens);
  for (auto i = std::size_t{0}; i < keys.size(); ++i) {
    std::ranges::copy(tokens.subspan(i * page_tokens, page_tokens), keys[i].begin());
  }
  return keys;
}

} // namespace souffleur
