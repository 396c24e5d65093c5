#include "engine/kv/page_key.hpp"

#include <algorithm>

namespace souffleur {

std::vector<page_key> to_page_keys(std::span<const token_id> tokens) {
  auto keys = std::vector<page_key>(tokens.size() / page_tokens);
  for (auto i = std::size_t{0}; i < keys.size(); ++i) {
    std::ranges::copy(tokens.subspan(i * page_tokens, page_tokens), keys[i].begin());
  }
  return keys;
}

} // namespace souffleur
