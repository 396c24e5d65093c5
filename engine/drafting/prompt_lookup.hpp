// Drafts by looking up the last few tokens earlier in the same text (Saxena, prompt lookup decoding).
#pragma once

#include "engine/drafting/token_ring.hpp"
#include "policies/draft_tree.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace souffleur {

/// Index of the n-grams in the last `n_window` tokens of a sequence. O(1) a token and a lookup. Bytes a
/// token: 36 at a power of two, twice that just beyond.
class prompt_lookup {
public:
  static constexpr std::size_t default_window = std::size_t{1} << 17;

  /// The window is rounded up to a power of two.
  explicit prompt_lookup(std::size_t n_window = default_window);

  /// Adds tokens to the end of the text.
  void append(std::span<const token_id> tokens);
  /// A chain of `n_max` tokens that followed the most recent earlier occurrence of the longest n-gram with
  /// one; where that runs into the end of the text, the draft is taken to go on repeating itself. Its match
  /// length says how far the two places are alike, up to `longest_match`.
  draft_tree propose(int n_max) const;
  /// Tokens appended so far.
  std::size_t size() const { return text_.end(); }
  std::size_t bytes() const;

  static constexpr std::uint32_t longest_match = 64;

private:
  /// The n-grams of one n, as chains through those whose hash is in the same bucket, most recent first. An
  /// n-gram is named by the position after it; 0 ends a chain.
  struct gram_index {
    std::vector<std::uint32_t> latest; ///< by bucket
    std::vector<std::uint32_t> before; ///< by position, modulo their number
  };

  static constexpr std::array<std::uint32_t, 4> orders_ = {8, 5, 3, 2};
  static constexpr std::size_t n_hashes_ = 16; ///< more than the longest order

  void index(std::uint32_t end);
  void rebuild();
  std::size_t bucket(std::uint32_t order, std::uint32_t end) const;
  std::optional<std::uint32_t> find(std::size_t which) const;
  std::uint32_t n_alike(std::uint32_t end, std::uint32_t n_max) const;

  std::size_t n_window_;
  token_ring text_;
  std::array<gram_index, orders_.size()> grams_;
  std::array<std::uint64_t, n_hashes_> hashes_{}; ///< of all up to a position, modulo their number
};

} // namespace souffleur
