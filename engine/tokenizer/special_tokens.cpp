#include "engine/tokenizer/special_tokens.hpp"

namespace souffleur {

namespace {

std::uint64_t edge(std::uint32_t from, char byte) {
  return static_cast<std::uint64_t>(from) << 8 | static_cast<std::uint8_t>(byte);
}

} // namespace

special_tokens::special_tokens() : nodes_(1) {}

void special_tokens::add(std::string_view spelling, token_id token, bool is_control) {
  if (spelling.empty())
    return;
  std::uint32_t at = 0;
  for (const char byte : spelling) {
    const auto [found, is_new] = edges_.emplace(edge(at, byte), static_cast<std::uint32_t>(nodes_.size()));
    if (is_new)
      nodes_.emplace_back();
    at = found->second;
  }
  nodes_[at] = {token, is_control};
}

std::uint32_t special_tokens::step(std::uint32_t from, char byte) const {
  const auto found = edges_.find(edge(from, byte));
  return found == edges_.end() ? nowhere : found->second;
}

std::optional<special_tokens::occurrence> special_tokens::find(std::string_view text, std::size_t from,
                                                               bool with_control) const {
  for (auto begin = from; begin < text.size(); ++begin) {
    std::optional<occurrence> longest;
    auto at = step(0, text[begin]);
    for (auto end = begin + 1; at != nowhere; ++end) {
      const auto& here = nodes_[at];
      if (here.token >= 0 && (with_control || !here.is_control))
        longest = {begin, end, here.token};
      at = end < text.size() ? step(at, text[end]) : nowhere;
    }
    if (longest)
      return longest;
  }
  return std::nullopt;
}

} // namespace souffleur
