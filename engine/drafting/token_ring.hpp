// Tokens at ever higher positions, of which the oldest are forgotten.
#pragma once

#include "policies/token.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace souffleur {

class token_ring {
public:
  std::uint32_t begin() const { return begin_; }
  std::uint32_t end() const { return end_; }
  std::uint32_t size() const { return end_ - begin_; }
  /// REQUIRES: begin() ≤ position < end().
  token_id operator[](std::uint32_t position) const { return tokens_[position & mask()]; }

  void push(token_id token) {
    if (size() == tokens_.size()) {
      grow();
    }
    tokens_[end_++ & mask()] = token;
  }
  /// Forgets all before `position`. REQUIRES: begin() ≤ position ≤ end().
  void drop_before(std::uint32_t position) { begin_ = position; }

  /// A power of two.
  std::size_t capacity() const { return tokens_.size(); }
  std::size_t bytes() const { return capacity() * sizeof(token_id); }
  /// What `n` more tokens add to bytes().
  std::size_t growth_bytes(std::size_t n) const {
    const auto n_then = size() + n;
    return n_then <= capacity() ? 0
                                : (std::max(std::bit_ceil(n_then), n_least) - capacity()) * sizeof(token_id);
  }

private:
  static constexpr std::size_t n_least = 64;
  std::uint32_t mask() const { return static_cast<std::uint32_t>(tokens_.size()) - 1; }
  void grow() {
    std::vector<token_id> larger(tokens_.empty() ? n_least : 2 * tokens_.size());
    for (auto i = begin_; i != end_; ++i) {
      larger[i & (larger.size() - 1)] = (*this)[i];
    }
    tokens_ = std::move(larger);
  }

  std::vector<token_id> tokens_;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
};

} // namespace souffleur
