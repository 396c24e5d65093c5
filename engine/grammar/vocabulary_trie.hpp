// A vocabulary's tokens by their bytes, so that what several begin with is read once.
#pragma once

#include "engine/tokenizer.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur::grammar {

/// Token `t` is allowed if bit t % 64 of word t / 64 is set.
using token_mask = std::vector<std::uint64_t>;

inline bool allows(const token_mask& mask, token_id token) {
  const auto bit = static_cast<std::size_t>(token);
  return token >= 0 && bit / 64 < mask.size() && (mask[bit / 64] >> (bit % 64) & 1) != 0;
}

inline void allow(token_mask& mask, token_id token) {
  mask[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<std::size_t>(token) % 64);
}

/// Nodes in preorder: a node's subtree ends where its next sibling begins.
class byte_trie {
public:
  struct spelled {
    std::string_view bytes; ///< not empty
    token_id token = 0;
  };
  explicit byte_trie(std::vector<spelled> tokens);

  std::size_t size() const { return bytes_.size(); }
  int n_most_bytes() const { return n_most_bytes_; }

  /// Walks over all nodes: read(depth, byte) says whether to go on below a node, whose tokens then go to
  /// take(token). Depths count from 0; before depth d has been read, d - 1 has.
  template <class Read, class Take>
  void walk(Read read, Take take) const {
    for (std::size_t node = 0; node < bytes_.size();) {
      if (!read(static_cast<std::size_t>(depths_[node]), bytes_[node])) {
        node = ends_[node];
        continue;
      }
      for (auto i = first_tokens_[node]; i < first_tokens_[node + 1]; ++i)
        take(tokens_[i]);
      ++node;
    }
  }

private:
  std::vector<std::uint8_t> bytes_;
  std::vector<std::uint16_t> depths_;
  std::vector<std::uint32_t> ends_;         ///< the node behind the subtree
  std::vector<std::uint32_t> first_tokens_; ///< (nodes + 1,): into tokens_
  std::vector<token_id> tokens_;
  int n_most_bytes_ = 0;
};

/// What a grammar can be joined with: every token that has bytes, but for control tokens and ends.
///
/// Most tokens are plain: whole characters that a JSON string has as they are. Where a grammar reads so many
/// of them, they are allowed together, and only `others` are looked at one by one.
class vocabulary_trie {
public:
  explicit vocabulary_trie(std::shared_ptr<const tokenizer> vocabulary);

  const tokenizer& vocabulary() const { return *vocabulary_; }
  const byte_trie& all() const { return all_; }
  const byte_trie& others() const { return others_; }
  const token_mask& plain() const { return plain_; }
  /// A plain token has so many characters at most.
  static constexpr int n_most_plain = 24;
  std::size_t n_words() const { return plain_.size(); }

private:
  std::shared_ptr<const tokenizer> vocabulary_;
  token_mask plain_;
  byte_trie all_;
  byte_trie others_;
};

} // namespace souffleur::grammar
