// Which strings of tokens occur in a set of texts, how often, and what followed them.
#pragma once

#include "engine/drafting/suffix_nodes.hpp"
#include "engine/drafting/token_ring.hpp"
#include "policies/draft_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace souffleur {

/// A place in a suffix tree: the end of one of its strings, in a node or along an edge. Holds until the tree
/// changes.
struct suffix_locus {
  node_index node = suffix_nodes::root; ///< the deepest at or above the place
  edge_end edge{};                      ///< if the place is along one
  std::uint32_t start = 0;              ///< likewise: a text position where the string occurs
  std::uint32_t length = 0;             ///< of the string, tokens
  std::uint32_t edge_depth = 0;         ///< where the edge ends; `length` in a node
};

/// Suffix tree after Ukkonen (Algorithmica 14, 1995) of several texts, cut off at a depth, with counts and
/// removal of the oldest text. Of the suffix at each position, its first `depth` tokens are in the tree, or
/// all of them and the end of its text. It can be told from one that never had the removed texts by nothing
/// but where its nodes lie in memory.
///
/// The last text may be open: it grows by append(). Its suffixes that occur elsewhere, too, cannot yet be
/// told from what they repeat; they are counted once they differ or are `depth` tokens long.
///
/// A token costs O(depth) to append and to remove, at the worst; mostly it is the few nodes above a leaf.
class suffix_tree {
public:
  static constexpr int default_depth = 32;
  static constexpr int most_depth = edge_end::most_depth;

  /// `depth`: from 2 to most_depth. `version` is where version() starts: trees that may be taken for each
  /// other start far apart.
  explicit suffix_tree(int depth = default_depth, std::uint64_t version = 0);

  /// Adds tokens to the end of the open text; opens one if there is none.
  void append(std::span<const token_id> tokens);
  /// Ends the open text, if there is one.
  void close();
  /// Forgets the oldest text. REQUIRES: n_texts() > 0, and no text is open.
  void remove_oldest();

  /// Changes whenever the tree does.
  std::uint64_t version() const { return version_; }
  int depth() const { return static_cast<int>(depth_); }
  int n_texts() const { return n_texts_; }
  std::size_t n_tokens() const { return text_.size(); }
  std::size_t n_nodes() const { return nodes_.size(); }
  /// What the tree needs for what it holds; less than bytes() after removals.
  std::size_t live_bytes() const { return nodes_.live_bytes() + text_.size() * sizeof(token_id); }
  std::size_t bytes() const { return nodes_.bytes() + text_.bytes(); }
  /// Whether a text of `n` tokens can be added before bytes() exceeds `limit_bytes`. One large edge table
  /// that happens to double is not provided for.
  bool has_room_for(std::size_t n, std::size_t limit_bytes) const;

  /// The longest suffix of the open text, of less than `depth` tokens, that occurs earlier, too.
  const suffix_locus& repeated() const { return active_; }
  /// Moves `at` from the longest suffix of some context that occurs in the tree to the longest one of the
  /// context with `token` after it; again of less than `depth` tokens.
  void advance(suffix_locus& at, token_id token) const;

  /// What followed the string at `at` most often, of equals last: the share in what followed, as counted,
  /// times match_trust() is its probability. Beyond `depth` counts are not known, and the newest occurrence
  /// stands for all; at the end of the open text the draft itself does, since the text is then taken to go on
  /// repeating itself.
  draft_tree propose(suffix_locus at, const draft_shape& shape) const;

  /// Number of suffixes that begin with `string`: its occurrences, see above.
  std::uint32_t count(std::span<const token_id> string) const;
  /// Recomputes everything. Empty, or what is broken.
  std::string check() const;

private:
  static constexpr token_id end_of_text = -1;
  static constexpr std::uint32_t no_end = ~0U;

  void branch_off(token_id token);
  node_index split(suffix_locus& at);
  void count_up(node_index node, std::uint32_t start);
  void count_repeated(std::uint32_t start);
  void remove_suffix(std::uint32_t start);
  void merge(node_index node);

  token_id token_at(std::uint32_t position) const;
  void enter(suffix_locus& at, const suffix_edge& edge) const;
  static void step(suffix_locus& at);
  bool extend(suffix_locus& at, token_id token) const;
  void shorten(suffix_locus& at) const;
  void propose_chain(suffix_locus at, const draft_shape& shape, draft_tree& draft) const;
  void propose_tree(const suffix_locus& at, const draft_shape& shape, draft_tree& draft) const;

  std::string check(node_index index) const;

  std::uint32_t depth_;
  std::uint64_t version_;
  suffix_nodes nodes_;
  token_ring text_; ///< of all texts, each with end_of_text after it
  int n_texts_ = 0; ///< the open one not counted
  bool open_ = false;
  suffix_locus active_; ///< the first suffix of the open text that is not in the tree by itself
};

} // namespace souffleur
