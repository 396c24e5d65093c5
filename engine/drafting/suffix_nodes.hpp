// The nodes of a suffix tree, and the edges below each in the order of their counts.
#pragma once

#include "engine/drafting/edge_table.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// One cache line: walking down a likely path touches no other line of a node.
struct alignas(64) suffix_node {
  static constexpr std::uint32_t n_first = 3;

  node_index parent;
  node_index link;     ///< the node whose string is this one's without its first token
  std::uint32_t start; ///< text position of the newest suffix that begins with the node's string
  std::uint32_t count; ///< suffixes that begin with it: the sum of its edges' counts
  /// The edges beyond the first; none unless those are n_first. It keeps a bound: none was taken more often.
  [[no_unique_address]] edge_table rest;
  std::uint8_t n_in_first;                ///< how many of `first` are edges
  std::uint8_t depth;                     ///< length of the string, tokens
  std::array<suffix_edge, n_first> first; ///< most taken first, and of equals the one taken last

  /// Two or more, but in the root.
  std::size_t n_edges() const { return n_in_first + rest.size(); }
};
static_assert(sizeof(suffix_node) == 64);

/// Grows without copying. A suffix "takes" an edge if it begins with the string that leads down it.
class suffix_nodes {
public:
  static constexpr node_index root = 0;

  suffix_nodes();
  suffix_nodes(const suffix_nodes&) = delete;
  suffix_nodes& operator=(const suffix_nodes&) = delete;
  suffix_nodes(suffix_nodes&&) = default;
  suffix_nodes& operator=(suffix_nodes&&) = default;
  const suffix_node& operator[](node_index index) const {
    return chunks_[index / chunk_nodes][index % chunk_nodes];
  }
  suffix_node& operator[](node_index index) { return chunks_[index / chunk_nodes][index % chunk_nodes]; }

  /// Makes a node with the one edge `below`, and its count.
  node_index create(node_index parent, std::uint8_t depth, std::uint32_t start, const suffix_edge& below);
  /// REQUIRES: it has no more than n_first edges.
  void release(node_index index);

  const suffix_edge* find(const suffix_node& node, token_id token) const {
    for (std::uint32_t i = 0; i < node.n_in_first; ++i) {
      if (node.first[i].token == token) {
        return &node.first[i];
      }
    }
    return node.rest.find(token);
  }
  /// Adds an edge along the text of the newest suffix, which takes it. REQUIRES: none has this token.
  void add(suffix_node& node, token_id token, std::uint32_t start);
  /// Lets an edge lead elsewhere.
  void redirect(suffix_node& node, token_id token, edge_end end);
  /// The newest suffix takes an edge that is there. What the edge leads to knows the new start already.
  void take(suffix_node& node, token_id token);
  /// The oldest of the suffixes that take an edge of the node is gone, and this edge was its; the last one's
  /// edge goes, too.
  void give_back(suffix_node& node, token_id token);
  /// Start of the newest suffix that takes the edge.
  std::uint32_t newest(const suffix_edge& edge) const {
    return edge.end.is_leaf() ? edge.end.start() : (*this)[edge.end.index()].start;
  }
  void for_each_edge(const suffix_node& node, const std::function<void(const suffix_edge&)>& what) const;

  std::size_t size() const { return n_nodes_; }
  /// Of the nodes and edges in use.
  std::size_t live_bytes() const;
  /// Allocated: what was in use stays allocated for later nodes.
  std::size_t bytes() const;
  /// What `n` more suffixes can add to bytes(), the doubling of large tables spread over what fills them.
  std::size_t growth_bytes(std::size_t n) const;
  /// What is wrong with the order or the counts of one node's edges; empty if nothing is.
  std::string check(node_index index) const;

private:
  static constexpr std::uint32_t none = ~0U;
  static constexpr std::size_t chunk_nodes = 512;

  bool before(const suffix_edge& a, const suffix_edge& b) const;
  static suffix_edge* find_first(suffix_node& node, token_id token);
  static void rise(suffix_node& node, suffix_edge* edge);
  void sink(suffix_node& node, suffix_edge* edge);
  void add_to_rest(edge_table& rest, const suffix_edge& edge);
  void remove_from_rest(edge_table& rest, token_id token);
  void exchange_last(suffix_node& node, suffix_edge edge);
  const suffix_edge* best_of(edge_table& rest, std::uint32_t least_count) const;

  std::vector<std::unique_ptr<suffix_node[]>> chunks_;
  node_index first_free_ = none; ///< the next is in its `parent`
  std::size_t n_nodes_ = 0;
  std::size_t edge_bytes_ = 0; ///< of all rests
};

} // namespace souffleur
