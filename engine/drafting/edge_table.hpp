// The edges of a suffix tree's node, beyond those that the node itself has room for.
#pragma once

#include "policies/token.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace souffleur {

using node_index = std::uint32_t;

/// Where an edge leads: to a node, or along a text that nothing branches off. In one word.
class edge_end {
public:
  static constexpr std::uint32_t most_depth = (1U << 6) - 1;
  static constexpr node_index most_nodes = 1U << 25;

  edge_end() = default;
  /// `depth`: the node's, so that who looks how long the edge is need not look at the node.
  static edge_end node(node_index index, std::uint32_t depth) { return edge_end{depth * most_nodes | index}; }
  /// `start` is the text position of a suffix that takes the edge.
  static edge_end leaf(std::uint32_t start) { return edge_end{start | leaf_bit}; }
  bool is_leaf() const { return (bits_ & leaf_bit) != 0; }
  /// REQUIRES: !is_leaf().
  node_index index() const { return bits_ % most_nodes; }
  std::uint32_t depth() const { return bits_ / most_nodes; }
  /// REQUIRES: is_leaf().
  std::uint32_t start() const { return bits_ & ~leaf_bit; }

private:
  static constexpr std::uint32_t leaf_bit = 1U << 31;
  explicit edge_end(std::uint32_t bits) : bits_(bits) {}
  std::uint32_t bits_;
};

struct suffix_edge {
  token_id token; ///< the first of its label
  edge_end end;
  std::uint32_t count; ///< suffixes that take it; 0: there is no edge here
};

/// By the first token; open addressing with linear probing, and removal closes the gap. O(1) a call; a search
/// reads this object and where the edge is, mostly one line of memory each.
class edge_table {
public:
  static constexpr int least_log2 = 2;
  /// Of a table with one edge.
  static constexpr std::size_t least_bytes = ((std::size_t{1} << least_log2) + 1) * sizeof(suffix_edge);

  edge_table() = default;
  edge_table(edge_table&& other) noexcept { *this = std::move(other); }
  edge_table& operator=(edge_table&& other) noexcept {
    std::swap(places_, other.places_);
    std::swap(log2_, other.log2_);
    return *this;
  }

  const suffix_edge* find(token_id token) const {
    if (!places_) {
      return nullptr;
    }
    for (auto i = home(token); places_[i].count != 0; i = after(i)) {
      if (places_[i].token == token) {
        return &places_[i];
      }
    }
    return nullptr;
  }
  suffix_edge* find(token_id token) { return const_cast<suffix_edge*>(std::as_const(*this).find(token)); }
  /// REQUIRES: no edge has this token. Invalidates what find() returned.
  void add(const suffix_edge& edge);
  /// REQUIRES: an edge has this token. Invalidates what find() returned.
  void remove(token_id token);

  bool empty() const { return !places_; }
  std::size_t size() const { return places_ ? n() : 0; }
  std::size_t bytes() const { return places_ ? (n_places() + 1) * sizeof(suffix_edge) : 0; }
  /// Edges in no order, among gaps of count 0.
  std::span<const suffix_edge> places() const { return {places_.get(), n_places()}; }
  /// A count that its owner keeps here; 0 in a table that was empty. REQUIRES: !empty().
  std::uint32_t kept() const { return static_cast<std::uint32_t>(places_[n_places()].token); }
  void keep(std::uint32_t count) { places_[n_places()].token = static_cast<token_id>(count); }

private:
  std::size_t n_places() const { return places_ ? std::size_t{1} << log2_ : 0; }
  std::uint32_t& n() const { return places_[n_places()].count; }
  /// Fibonacci hashing: the top bits of a product with 2^32 over the golden ratio.
  std::size_t home(token_id token) const {
    return (static_cast<std::uint32_t>(token) * 2654435769U) >> (32 - log2_);
  }
  std::size_t after(std::size_t place) const { return (place + 1) & ((std::size_t{1} << log2_) - 1); }
  void resize(int log2);

  /// None at first; at most three quarters are taken. One more behind them has what only changes read: the
  /// number of edges as its count, and kept() as its token.
  std::unique_ptr<suffix_edge[]> places_;
  std::uint8_t log2_ = 0;
};

} // namespace souffleur
