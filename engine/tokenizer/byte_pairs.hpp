// Byte-pair merging of one word: lowest rank first, leftmost first among equals.
#pragma once

#include "policies/token.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// The tokens of single bytes and the ranked pairs. Immutable once filled.
class byte_pairs {
public:
  byte_pairs() { token_of_byte_.fill(-1); }
  void set_byte(std::uint8_t byte, token_id token) { token_of_byte_[byte] = token; }
  void reserve(std::size_t n_pairs) { merges_.reserve(n_pairs); }
  /// The first rank given to a pair stands.
  void add_merge(token_id left, token_id right, std::int32_t rank, token_id merged) {
    merges_.emplace(key(left, right), merge{rank, merged});
  }

private:
  friend class word_merger;
  struct merge {
    std::int32_t rank;
    token_id merged;
  };
  static std::uint64_t key(token_id left, token_id right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  const merge* find(token_id left, token_id right) const {
    const auto found = merges_.find(key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }
  std::array<token_id, 256> token_of_byte_{};
  std::unordered_map<std::uint64_t, merge> merges_;
};

/// Merges words one after the other; keeps its buffers between them. For one thread. O(n log n) in a word's
/// bytes.
class word_merger {
public:
  explicit word_merger(const byte_pairs& pairs) : pairs_(pairs) {}
  /// Appends the word's tokens. A byte without a token is left out before merging, so its neighbours meet, as
  /// in Hugging Face's `tokenizers` (SmolLM2's vocabulary lacks U+0004, U+0006 and a few more).
  void append(std::string_view word, std::vector<token_id>& tokens);

private:
  struct symbol {
    token_id token; ///< -1: merged into its left neighbour
    std::int32_t previous;
    std::int32_t next; ///< -1: none
  };
  /// A merge that was possible when it was noted; it still is if both symbols are what they were.
  struct candidate {
    std::int32_t rank;
    std::int32_t at;
    token_id left;
    token_id right;
    token_id merged;
  };
  static bool later(const candidate& a, const candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  }
  void note(std::int32_t at);
  void apply(const candidate& chosen);

  const byte_pairs& pairs_;
  std::vector<symbol> symbols_;
  std::vector<candidate> heap_;
};

} // namespace souffleur
