#include "engine/grammar/vocabulary_trie.hpp"

#include "engine/grammar/characters.hpp"
#include "engine/tokenizer/utf8.hpp"

#include <algorithm>
#include <limits>

namespace souffleur::grammar {

namespace {

constexpr std::size_t most_bytes = std::numeric_limits<std::uint16_t>::max();

std::vector<byte_trie::spelled> usable_tokens(const tokenizer& vocabulary) {
  std::vector<byte_trie::spelled> tokens;
  for (token_id token = 0; token < vocabulary.vocabulary_size(); ++token) {
    const auto bytes = vocabulary.piece(token);
    if (!bytes.empty() && bytes.size() <= most_bytes && !vocabulary.is_control(token) &&
        !vocabulary.is_end(token))
      tokens.push_back({bytes, token});
  }
  return tokens;
}

/// -1: the token is not plain.
int n_plain_characters(std::string_view bytes) {
  const auto is_special = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  };
  const auto n = characters_of(bytes).size();
  const bool is_plain =
      std::ranges::none_of(bytes, is_special) && is_valid_utf8(bytes) && n <= vocabulary_trie::n_most_plain;
  return is_plain ? static_cast<int>(n) : -1;
}

std::vector<token_mask> plain_tokens(const tokenizer& vocabulary) {
  const token_mask none((static_cast<std::size_t>(vocabulary.vocabulary_size()) + 63) / 64);
  std::vector<token_mask> masks(vocabulary_trie::n_most_plain + 1, none);
  for (const auto& [bytes, token] : usable_tokens(vocabulary))
    if (const int n = n_plain_characters(bytes); n >= 0)
      for (int most = n; most <= vocabulary_trie::n_most_plain; ++most)
        allow(masks[static_cast<std::size_t>(most)], token);
  return masks;
}

std::vector<byte_trie::spelled> without(std::vector<byte_trie::spelled> tokens, const token_mask& those) {
  std::erase_if(tokens, [&](const auto& one) { return allows(those, one.token); });
  return tokens;
}

} // namespace

byte_trie::byte_trie(std::vector<spelled> tokens) {
  std::ranges::sort(tokens, [](const spelled& a, const spelled& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.token < b.token;
  });
  std::vector<std::uint32_t> path; ///< nodes from the root to the last token
  std::string_view last;
  const auto close_down_to = [&](std::size_t depth) {
    for (; path.size() > depth; path.pop_back())
      ends_[path.back()] = static_cast<std::uint32_t>(bytes_.size());
  };
  for (const auto& [bytes, token] : tokens) {
    const auto n_common = static_cast<std::size_t>(std::ranges::mismatch(bytes, last).in1 - bytes.begin());
    close_down_to(n_common);
    for (auto depth = n_common; depth < bytes.size(); ++depth) {
      path.push_back(static_cast<std::uint32_t>(bytes_.size()));
      bytes_.push_back(static_cast<std::uint8_t>(bytes[depth]));
      depths_.push_back(static_cast<std::uint16_t>(depth));
      first_tokens_.push_back(static_cast<std::uint32_t>(tokens_.size()));
      ends_.push_back(0);
    }
    tokens_.push_back(token);
    n_most_bytes_ = std::max(n_most_bytes_, static_cast<int>(bytes.size()));
    last = bytes;
  }
  close_down_to(0);
  first_tokens_.push_back(static_cast<std::uint32_t>(tokens_.size()));
}

vocabulary_trie::vocabulary_trie(std::shared_ptr<const tokenizer> vocabulary)
    : vocabulary_(std::move(vocabulary)), plain_(plain_tokens(*vocabulary_)),
      all_(usable_tokens(*vocabulary_)), others_(without(usable_tokens(*vocabulary_), plain_.back())) {}

} // namespace souffleur::grammar
