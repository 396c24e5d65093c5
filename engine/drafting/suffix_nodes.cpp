#include "engine/drafting/suffix_nodes.hpp"

#include <cassert>
#include <set>
#include <utility>

namespace souffleur {
namespace {

/// An edge of `rest` was taken `count` times.
void raise(edge_table& rest, std::uint32_t count) { rest.keep(std::max(rest.kept(), count)); }

} // namespace

suffix_nodes::suffix_nodes() {
  [[maybe_unused]] const auto index = create(root, 0, 0, suffix_edge{});
  assert(index == root);
  (*this)[root].n_in_first = 0;
}

node_index suffix_nodes::create(node_index parent, std::uint8_t depth, std::uint32_t start,
                                const suffix_edge& below) {
  if (first_free_ == none) {
    const auto begin = static_cast<node_index>(chunks_.size() * chunk_nodes);
    chunks_.push_back(std::make_unique_for_overwrite<suffix_node[]>(chunk_nodes));
    for (auto i = begin + static_cast<node_index>(chunk_nodes); i-- > begin;) {
      (*this)[i].parent = std::exchange(first_free_, i);
    }
  }
  const auto index = first_free_;
  auto& node = (*this)[index];
  first_free_ = node.parent;
  node = {parent, root, start, below.count, {}, 1, depth, {below}};
  ++n_nodes_;
  return index;
}

void suffix_nodes::release(node_index index) {
  assert((*this)[index].rest.empty());
  (*this)[index].parent = std::exchange(first_free_, index);
  --n_nodes_;
}

void suffix_nodes::add(suffix_node& node, token_id token, std::uint32_t start) {
  const auto edge = suffix_edge{token, edge_end::leaf(start), 1};
  if (node.n_in_first < suffix_node::n_first) {
    auto* place = &node.first[node.n_in_first++];
    *place = edge;
    rise(node, place);
  } else if (node.first.back().count > 1) {
    add_to_rest(node.rest, edge);
  } else {
    add_to_rest(node.rest, std::exchange(node.first.back(), edge));
    rise(node, &node.first.back());
  }
}

void suffix_nodes::redirect(suffix_node& node, token_id token, edge_end end) {
  auto* edge = find_first(node, token);
  (edge ? edge : node.rest.find(token))->end = end;
}

void suffix_nodes::take(suffix_node& node, token_id token) {
  if (auto* edge = find_first(node, token)) {
    ++edge->count;
    rise(node, edge);
    return;
  }
  auto* edge = node.rest.find(token);
  ++edge->count;
  if (edge->count < node.first.back().count) {
    raise(node.rest, edge->count);
  } else {
    exchange_last(node, *edge);
    rise(node, &node.first.back());
  }
}

void suffix_nodes::give_back(suffix_node& node, token_id token) {
  if (auto* edge = find_first(node, token)) {
    if (--edge->count == 0) {
      // The oldest suffix alone took it: any other edge, be it one of the rest, stands before it.
      assert(edge == &node.first[node.n_in_first - 1U] && node.rest.empty());
      --node.n_in_first;
    } else {
      sink(node, edge);
    }
    return;
  }
  auto* edge = node.rest.find(token);
  if (edge->count == 1) {
    remove_from_rest(node.rest, token);
  } else {
    --edge->count;
  }
}

void suffix_nodes::for_each_edge(const suffix_node& node,
                                 const std::function<void(const suffix_edge&)>& what) const {
  std::for_each_n(node.first.begin(), node.n_in_first, what);
  for (const auto& edge : node.rest.places()) {
    if (edge.count != 0) {
      what(edge);
    }
  }
}

std::size_t suffix_nodes::live_bytes() const { return n_nodes_ * sizeof(suffix_node) + edge_bytes_; }

std::size_t suffix_nodes::bytes() const {
  return chunks_.size() * chunk_nodes * sizeof(suffix_node) + edge_bytes_;
}

std::size_t suffix_nodes::growth_bytes(std::size_t n) const {
  const auto n_free = chunks_.size() * chunk_nodes - n_nodes_;
  const auto n_chunks = n > n_free ? (n - n_free + chunk_nodes - 1) / chunk_nodes : 0;
  return n_chunks * chunk_nodes * sizeof(suffix_node) + n * edge_table::least_bytes;
}

/// The order of a node's edges. No two have the same newest suffix.
bool suffix_nodes::before(const suffix_edge& a, const suffix_edge& b) const {
  return a.count != b.count ? a.count > b.count : newest(a) > newest(b);
}

suffix_edge* suffix_nodes::find_first(suffix_node& node, token_id token) {
  const auto end = node.first.begin() + node.n_in_first;
  const auto found =
      std::find_if(node.first.begin(), end, [&](const auto& edge) { return edge.token == token; });
  return found == end ? nullptr : &*found;
}

/// To its place, once the newest suffix has taken it.
void suffix_nodes::rise(suffix_node& node, suffix_edge* edge) {
  for (; edge != node.first.data() && edge[-1].count <= edge->count; --edge) {
    std::swap(edge[-1], *edge);
  }
}

/// To its place, once its count has fallen.
void suffix_nodes::sink(suffix_node& node, suffix_edge* edge) {
  const auto* const end = node.first.data() + node.n_in_first;
  for (; edge + 1 != end && before(edge[1], *edge); ++edge) {
    std::swap(edge[1], *edge);
  }
  if (edge == &node.first.back() && !node.rest.empty()) {
    const auto* best = best_of(node.rest, edge->count);
    if (best && before(*best, *edge)) {
      exchange_last(node, *best);
    }
  }
}

void suffix_nodes::add_to_rest(edge_table& rest, const suffix_edge& edge) {
  edge_bytes_ -= rest.bytes();
  rest.add(edge);
  edge_bytes_ += rest.bytes();
  raise(rest, edge.count);
}

void suffix_nodes::remove_from_rest(edge_table& rest, token_id token) {
  edge_bytes_ -= rest.bytes();
  rest.remove(token);
  edge_bytes_ += rest.bytes();
}

/// `edge`, one of the rest, and the last of the first change places.
void suffix_nodes::exchange_last(suffix_node& node, suffix_edge edge) {
  remove_from_rest(node.rest, edge.token);
  add_to_rest(node.rest, std::exchange(node.first.back(), edge));
}

/// Null if it is known that no count reaches `least_count`.
const suffix_edge* suffix_nodes::best_of(edge_table& rest, std::uint32_t least_count) const {
  if (rest.kept() < least_count) {
    return nullptr;
  }
  const auto* best = static_cast<const suffix_edge*>(nullptr);
  for (const auto& edge : rest.places()) {
    if (edge.count != 0 && (!best || before(edge, *best))) {
      best = &edge;
    }
  }
  rest.keep(best->count);
  return best;
}

std::string suffix_nodes::check(node_index index) const {
  const auto& node = (*this)[index];
  std::uint64_t count = 0;
  std::size_t n_edges = 0;
  std::set<token_id> tokens;
  const suffix_edge* above = nullptr;
  auto in_order = true;
  for_each_edge(node, [&](const suffix_edge& edge) {
    count += edge.count;
    tokens.insert(edge.token);
    in_order = in_order && (!above || before(*above, edge));
    above = n_edges < suffix_node::n_first ? &edge : above;
    ++n_edges;
  });
  if (count != node.count) {
    return "its edges are taken " + std::to_string(count) + " times, itself " + std::to_string(node.count);
  }
  if (n_edges != node.n_edges() || tokens.size() != n_edges) {
    return "an edge is missing or there twice";
  }
  return in_order ? "" : "an edge stands before a better one";
}

} // namespace souffleur
