#include "engine/kv/page_key.hpp"

#include <xxhash.h>

#include <algorithm>

namespace souffleur {

std::uint64_t hash_after(std::uint64_t before, const page_key& page) {
  return XXH3_64bits_withSeed(page.data(), sizeof page, before);
}

std::uint64_t root_hash(std::string_view salt) { return XXH3_64bits(salt.data(), salt.size()); }

std::vector<std::uint64_t> page_hashes(std::string_view salt, std::span<const token_id> tokens) {
  std::vector<std::uint64_t> hashes;
  auto hash = root_hash(salt);
  for (const auto& page : to_page_keys(tokens)) {
    hash = hash_after(hash, page);
    hashes.push_back(hash);
  }
  return hashes;
}

std::vector<page_key> to_page_keys(std::span<const token_id> tokens) {
  auto keys = std::vector<page_key>(tokens.size() / page_tokens);
  for (auto i = std::size_t{0}; i < keys.size(); ++i) {
    std::ranges::copy(tokens.subspan(i * page_tokens, page_tokens), keys[i].begin());
  }
  return keys;
}

} // namespace souffleur
