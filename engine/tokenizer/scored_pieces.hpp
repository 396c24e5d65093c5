// SentencePiece's merging: the pair with the highest score first, leftmost first among equals.
#pragma once

#include "policies/token.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// What text may become. Immutable once filled; points into what was added.
class scored_pieces {
public:
  struct piece {
    token_id token = 0;
    float score = 0;
    bool is_unused = false; ///< merges go through it, but it is no result: it falls apart again
  };
  scored_pieces() { token_of_byte_.fill(-1); }
  void reserve(std::size_t n_pieces) { pieces_.reserve(n_pieces); }
  /// Ignores an empty `bytes`. REQUIRES: the score is a number.
  void add(std::string_view bytes, const piece& what);
  void set_byte(std::uint8_t byte, token_id token) { token_of_byte_[byte] = token; }
  bool has_all_bytes() const;
  /// Stands for a byte without a token.
  void set_unknown(std::optional<token_id> token) { unknown_ = token; }

private:
  friend class piece_merger;
  const piece* find(std::string_view bytes) const {
    const auto found = bytes.size() > longest_ ? pieces_.end() : pieces_.find(bytes);
    return found == pieces_.end() ? nullptr : &found->second;
  }
  std::unordered_map<std::string_view, piece> pieces_;
  std::size_t longest_ = 0;
  std::array<token_id, 256> token_of_byte_{};
  std::optional<token_id> unknown_;
};

/// Merges texts one after the other; keeps its buffers between them. For one thread. O(n log n) in a text's
/// characters. Source: Kudo and Richardson 2018 (the BPE model of their library).
class piece_merger {
public:
  explicit piece_merger(const scored_pieces& pieces) : pieces_(pieces) {}
  /// Appends the tokens of `text`, valid UTF-8. A character that is no piece becomes the tokens of its bytes.
  void append(std::string_view text, std::vector<token_id>& tokens);

private:
  /// A piece of the text. Size 0: merged into its left neighbour.
  struct symbol {
    const char* begin;
    std::uint32_t size;
    std::int32_t previous;
    std::int32_t next; ///< -1: none
    std::string_view text() const { return {begin, size}; }
  };
  /// A merge that was possible when it was noted. Symbols only grow, so it still is if the size is the same.
  struct candidate {
    float score;
    std::int32_t at;
    std::uint32_t size;
  };
  static bool later(const candidate& a, const candidate& b) {
    return a.score != b.score ? a.score < b.score : a.at > b.at;
  }
  void cut_into_characters(std::string_view text);
  void note(std::int32_t at);
  void apply(const candidate& chosen);
  void emit(std::string_view text, std::vector<token_id>& tokens) const;

  const scored_pieces& pieces_;
  std::vector<symbol> symbols_;
  std::vector<candidate> heap_;
  std::unordered_map<std::string_view, std::size_t> left_sizes_; ///< how unused pieces were made
};

} // namespace souffleur
