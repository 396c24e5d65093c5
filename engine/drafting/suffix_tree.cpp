#include "engine/drafting/suffix_tree.hpp"

#include "engine/drafting/grow.hpp"
#include "engine/drafting/match_trust.hpp"

#include <algorithm>
#include <cassert>
#include <vector>

namespace souffleur {
namespace {

/// An edge_end has no more bits for a position.
constexpr std::size_t most_positions = std::size_t{1} << 31;

float share_of(const suffix_edge& edge, const suffix_node& node) {
  return static_cast<float>(edge.count) / static_cast<float>(node.count);
}

} // namespace

suffix_tree::suffix_tree(int depth, std::uint64_t version)
    : depth_(static_cast<std::uint32_t>(std::clamp(depth, 2, most_depth))), version_(version) {}

void suffix_tree::append(std::span<const token_id> tokens) {
  for (const auto token : tokens) {
    text_.push(token);
    branch_off(token);
    if (active_.length == depth_) {
      count_repeated(text_.end() - depth_);
      shorten(active_);
    }
  }
  open_ = open_ || !tokens.empty();
  ++version_;
}

void suffix_tree::close() {
  if (!open_) {
    return;
  }
  text_.push(end_of_text);
  branch_off(end_of_text);
  // What has not branched off ends like another text.
  const auto end = text_.end() - 1;
  for (auto start = text_.end() - active_.length; start < end; ++start) {
    count_repeated(start);
    if (start + 1 < end) {
      shorten(active_);
    }
  }
  active_ = {};
  open_ = false;
  ++n_texts_;
  ++version_;
}

void suffix_tree::remove_oldest() {
  assert(n_texts_ > 0 && !open_);
  auto start = text_.begin();
  for (; text_[start] != end_of_text; ++start) {
    remove_suffix(start);
  }
  text_.drop_before(start + 1);
  --n_texts_;
  ++version_;
}

bool suffix_tree::has_room_for(std::size_t n, std::size_t limit_bytes) const {
  const auto n_positions = text_.end() + n + 1;
  return n_positions < most_positions && nodes_.size() + n < edge_end::most_nodes &&
         bytes() + nodes_.growth_bytes(n) + text_.growth_bytes(n + 1) <= limit_bytes;
}

/// Of the suffixes that are not in the tree by themselves, the longest one first, each that does not go on
/// with `token` where it is found elsewhere becomes a leaf. Where one goes on, so do all shorter ones.
void suffix_tree::branch_off(token_id token) {
  auto unlinked = suffix_nodes::root;
  while (!extend(active_, token)) {
    if (active_.length == 0 && token == end_of_text) {
      return;
    }
    const auto start = text_.end() - 1 - active_.length;
    const auto is_new = active_.length != active_.edge_depth;
    const auto at = is_new ? split(active_) : active_.node;
    nodes_.add(nodes_[at], token, start);
    count_up(at, start);
    if (unlinked != suffix_nodes::root) {
      nodes_[unlinked].link = at;
    }
    unlinked = is_new ? at : suffix_nodes::root;
    if (active_.length == 0) {
      return;
    }
    shorten(active_);
    if (unlinked != suffix_nodes::root && active_.length == active_.edge_depth) {
      nodes_[unlinked].link = active_.node;
      unlinked = suffix_nodes::root;
    }
  }
}

/// Makes a node in the middle of an edge.
node_index suffix_tree::split(suffix_locus& at) {
  auto& above = nodes_[at.node];
  const auto edge = *nodes_.find(above, text_[at.start + above.depth]);
  const auto made = nodes_.create(at.node, static_cast<std::uint8_t>(at.length), nodes_.newest(edge),
                                  {text_[at.start + at.length], edge.end, edge.count});
  if (!edge.end.is_leaf()) {
    nodes_[edge.end.index()].parent = made;
  }
  nodes_.redirect(above, edge.token, edge_end::node(made, at.length));
  at.node = made;
  at.edge_depth = at.length;
  return made;
}

/// Counts the suffix at `start` for a node and all above it.
void suffix_tree::count_up(node_index node, std::uint32_t start) {
  for (;;) {
    auto& one = nodes_[node];
    ++one.count;
    one.start = start;
    if (node == suffix_nodes::root) {
      return;
    }
    node = one.parent;
    auto& above = nodes_[node];
    nodes_.take(above, text_[start + above.depth]);
  }
}

/// Counts the suffix at `start`, which is at the end of a leaf: at `active_`.
void suffix_tree::count_repeated(std::uint32_t start) {
  auto& above = nodes_[active_.node];
  const auto token = text_[start + above.depth];
  nodes_.redirect(above, token, edge_end::leaf(start));
  nodes_.take(above, token);
  count_up(active_.node, start);
}

void suffix_tree::remove_suffix(std::uint32_t start) {
  auto at = suffix_nodes::root;
  for (;;) {
    auto& node = nodes_[at];
    --node.count;
    const auto token = text_[start + node.depth];
    const auto end = nodes_.find(node, token)->end;
    nodes_.give_back(node, token);
    if (end.is_leaf()) {
      break;
    }
    at = end.index();
  }
  if (at != suffix_nodes::root && nodes_[at].n_edges() == 1) {
    merge(at);
  }
}

/// Makes one edge of the edge to a node and the only one below it.
void suffix_tree::merge(node_index node) {
  const auto& gone = nodes_[node];
  const auto below = gone.first.front().end;
  auto& above = nodes_[gone.parent];
  if (!below.is_leaf()) {
    nodes_[below.index()].parent = gone.parent;
  }
  nodes_.redirect(above, text_[gone.start + above.depth], below);
  nodes_.release(node);
}

void suffix_tree::advance(suffix_locus& at, token_id token) const {
  if (at.length + 1 == depth_) {
    shorten(at);
  }
  while (!extend(at, token) && at.length > 0) {
    shorten(at);
  }
}

token_id suffix_tree::token_at(std::uint32_t position) const {
  return position < text_.end() ? text_[position] : end_of_text;
}

void suffix_tree::enter(suffix_locus& at, const suffix_edge& edge) const {
  at.edge = edge.end;
  at.edge_depth = edge.end.is_leaf() ? no_end : edge.end.depth();
  if (at.edge_depth > at.length + 1) {
    at.start = nodes_.newest(edge);
  }
}

/// One token down the edge that `at` is on.
void suffix_tree::step(suffix_locus& at) {
  ++at.length;
  if (at.length == at.edge_depth) {
    at.node = at.edge.index();
  }
}

bool suffix_tree::extend(suffix_locus& at, token_id token) const {
  if (at.length < at.edge_depth) {
    if (token_at(at.start + at.length) != token) {
      return false;
    }
  } else {
    const auto* edge = nodes_.find(nodes_[at.node], token);
    if (!edge) {
      return false;
    }
    enter(at, *edge);
  }
  step(at);
  return true;
}

/// Drops the first token of the string, over the suffix link of the node above.
void suffix_tree::shorten(suffix_locus& at) const {
  at.node = nodes_[at.node].link;
  ++at.start;
  --at.length;
  for (;;) {
    const auto& node = nodes_[at.node];
    at.edge_depth = node.depth;
    if (node.depth == at.length) {
      return;
    }
    at.edge = nodes_.find(node, text_[at.start + node.depth])->end;
    if (at.edge.is_leaf()) {
      at.edge_depth = no_end;
      return;
    }
    at.edge_depth = at.edge.depth();
    if (at.edge_depth > at.length) {
      return;
    }
    at.node = at.edge.index();
  }
}

draft_tree suffix_tree::propose(suffix_locus at, const draft_shape& shape) const {
  if (at.length < at.edge_depth && at.edge.is_leaf()) {
    at.start = at.edge.start(); // the newest occurrence
  }
  draft_tree draft;
  draft.match_length = static_cast<int>(at.length);
  draft.origin = token_origin::suffix;
  if (at.length > 0 && shape.n_max > 0) {
    draft.nodes.reserve(static_cast<std::size_t>(shape.n_max));
    shape.n_branches > 1 ? propose_tree(at, shape, draft) : propose_chain(at, shape, draft);
  }
  return draft;
}

void suffix_tree::propose_chain(suffix_locus at, const draft_shape& shape, draft_tree& draft) const {
  auto path_probability = 1.0F;
  for (auto n = 0; n < shape.n_max; ++n, step(at)) {
    auto share = 1.0F;
    token_id token;
    if (at.length == at.edge_depth) {
      const auto& node = nodes_[at.node];
      const auto& edge = node.first[node.first.front().token == end_of_text ? 1 : 0];
      share = share_of(edge, node);
      token = edge.token;
      enter(at, edge);
    } else {
      const auto position = at.start + at.length;
      token = position < text_.end() ? text_[position] : draft.nodes[position - text_.end()].token;
    }
    const auto probability = share * match_trust(static_cast<int>(at.length));
    path_probability *= probability;
    if (token == end_of_text || path_probability < shape.least_probability) {
      return;
    }
    draft.nodes.push_back({token, n - 1, probability});
  }
}

void suffix_tree::propose_tree(const suffix_locus& at, const draft_shape& shape, draft_tree& draft) const {
  grow(draft, at, shape, [&](const suffix_locus& from, const auto& found) {
    const auto trust = match_trust(static_cast<int>(from.length));
    if (from.length < from.edge_depth) {
      const auto token = token_at(from.start + from.length);
      if (token != end_of_text) {
        auto after = from;
        step(after);
        found(token, trust, after);
      }
      return;
    }
    const auto& node = nodes_[from.node];
    auto n_left = shape.n_branches;
    for (std::size_t i = 0; i < node.n_in_first && n_left > 0; ++i) {
      const auto& edge = node.first[i];
      if (edge.token != end_of_text) {
        auto after = from;
        enter(after, edge);
        step(after);
        found(edge.token, share_of(edge, node) * trust, after);
        --n_left;
      }
    }
  });
}

std::uint32_t suffix_tree::count(std::span<const token_id> string) const {
  suffix_locus at;
  if (string.size() > depth_ ||
      !std::ranges::all_of(string, [&](token_id token) { return extend(at, token); })) {
    return 0;
  }
  const auto& node = nodes_[at.node];
  return at.length == node.depth ? node.count : nodes_.find(node, text_[at.start + node.depth])->count;
}

std::string suffix_tree::check() const {
  std::vector<node_index> to_do = {suffix_nodes::root};
  for (std::size_t i = 0; i < to_do.size(); ++i) {
    if (const auto broken = check(to_do[i]); !broken.empty()) {
      return broken;
    }
    nodes_.for_each_edge(nodes_[to_do[i]], [&](const suffix_edge& edge) {
      if (!edge.end.is_leaf()) {
        to_do.push_back(edge.end.index());
      }
    });
  }
  return to_do.size() == nodes_.size() ? "" : "a node is out of reach";
}

std::string suffix_tree::check(node_index index) const {
  const auto& node = nodes_[index];
  const auto name = "node " + std::to_string(index) + ": ";
  if (const auto broken = nodes_.check(index); !broken.empty()) {
    return name + broken;
  }
  if (index != suffix_nodes::root) {
    if (node.n_edges() < 2) {
      return name + "nothing branches there";
    }
    const auto& link = nodes_[node.link];
    if (link.depth + 1 != node.depth) {
      return name + "its link has the wrong length";
    }
    for (std::uint32_t i = 0; i < link.depth; ++i) {
      if (text_[link.start + i] != text_[node.start + i + 1]) {
        return name + "its link has another string";
      }
    }
  }
  std::string broken;
  nodes_.for_each_edge(node, [&](const suffix_edge& edge) {
    const auto start = nodes_.newest(edge);
    if (start < text_.begin() || start + node.depth >= text_.end()) {
      broken = "an edge is to be read where no text is";
    } else if (text_[start + node.depth] != edge.token) {
      broken = "an edge begins with another token";
    } else if (!edge.end.is_leaf() &&
               (nodes_[edge.end.index()].parent != index || nodes_[edge.end.index()].depth <= node.depth ||
                nodes_[edge.end.index()].depth != edge.end.depth() ||
                nodes_[edge.end.index()].count != edge.count)) {
      broken = "it and the node below an edge do not agree";
    }
  });
  return broken.empty() ? "" : name + broken;
}

} // namespace souffleur
