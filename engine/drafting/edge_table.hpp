// The edges of a suffix tree's node, beyond those that the node itself has room for.
#pragma once

#include "policies/token.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace souffleur {

using node_index = std::uint32_t;

/// Where an edge leads: to a node, or along a text that nothing branches off.
class edge_end {
public:
  edge_end() = default;
  static edge_end node(node_index index) { return edge_end{index}; }
  /// `start` is the text position of a suffix that takes the edge.
  static edge_end leaf(std::uint32_t start) { return edge_end{start | leaf_bit}; }
  bool is_leaf() const { return (bits_ & leaf_bit) != 0; }
  /// REQUIRES: !is_leaf().
  node_index index() const { return bits_; }
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

/// By the first token; open addressing with linear probing, and removal closes the gap. O(1) a call.
class edge_table {
public:
  const suffix_edge* find(token_id token) const;
  suffix_edge* find(token_id token);
  /// REQUIRES: no edge has this token. Invalidates what find() returned.
  void add(const suffix_edge& edge);
  /// REQUIRES: an edge has this token. Invalidates what find() returned.
  void remove(token_id token);

  std::size_t size() const { return n_; }
  std::size_t bytes() const { return n_places() * sizeof(suffix_edge); }
  /// Edges in no order, among gaps of count 0.
  std::span<const suffix_edge> places() const { return {places_.get(), n_places()}; }

private:
  std::size_t n_places() const { return places_ ? std::size_t{1} << log2_ : 0; }
  std::size_t home(token_id token) const;
  std::size_t after(std::size_t place) const { return (place + 1) & (n_places() - 1); }
  void resize(int log2);

  std::unique_ptr<suffix_edge[]> places_; ///< none at first; at most three quarters are taken
  std::uint32_t n_ = 0;
  int log2_ = 0;
};

} // namespace souffleur
