// A vocabulary's tokens by their bytes, so that what several begin with is read once.
#pragma once

#include "engine/grammar/token_mask.hpp"
#include "engine/tokenizer.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur::grammar {

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
/// Most tokens are plain: whole characters that a JSON string has as they are. Where a grammar reads a
/// string's text, those that are short enough are allowed together, and only `others` are looked at one by
/// one.
class vocabulary_trie {
public:
  explicit vocabulary_trie(std::shared_ptr<const tokenizer> vocabulary);

  const tokenizer& vocabulary() const { return *vocabulary_; }
  const byte_trie& all() const { return all_; }
  const byte_trie& others() const { return others_; }
  /// A plain token has so many characters at most.
  static constexpr int n_most_plain = 24;
  /// Plain tokens of at most `n_characters`.
  const token_mask& plain(int n_characters) const {
    return plain_[static_cast<std::size_t>(std::clamp(n_characters, 0, n_most_plain))];
  }
  std::size_t n_words() const { return plain_.front().size(); }

private:
  std::shared_ptr<const tokenizer> vocabulary_;
  std::vector<token_mask> plain_; ///< by number of characters
  byte_trie all_;
  byte_trie others_;
};

} // namespace souffleur::grammar
