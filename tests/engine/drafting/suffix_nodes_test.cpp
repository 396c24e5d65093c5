#include "engine/drafting/suffix_nodes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

using namespace souffleur;

namespace {

/// Edges as the suffixes that take them now leave them, oldest first.
std::vector<suffix_edge> sorted_edges(const std::deque<token_id>& takers, std::uint32_t oldest) {
  std::map<token_id, suffix_edge> by_token;
  for (auto start = oldest; start < oldest + takers.size(); ++start) {
    const auto token = takers[start - oldest];
    by_token[token] = {token, edge_end::leaf(start), by_token[token].count + 1};
  }
  std::vector<suffix_edge> edges;
  for (const auto& [token, edge] : by_token) {
    edges.push_back(edge);
  }
  std::ranges::sort(edges, [](const auto& a, const auto& b) {
    return std::pair{a.count, a.end.start()} > std::pair{b.count, b.end.start()};
  });
  return edges;
}

} // namespace

RC_GTEST_PROP(SuffixNodes, KeepTheEdgesTakenMostInFront, ()) {
  suffix_nodes nodes;
  const auto empty_bytes = nodes.live_bytes();
  auto& root = nodes[suffix_nodes::root];
  std::deque<token_id> takers;
  std::uint32_t oldest = 0;
  const auto n_tokens = *rc::gen::element<token_id>(2, 4, 6, 40);
  const auto n_most = *rc::gen::inRange<std::size_t>(1, 40);
  const auto tokens = *rc::gen::container<std::vector<token_id>>(
      rc::gen::oneOf(rc::gen::inRange<token_id>(-1, n_tokens), rc::gen::inRange<token_id>(0, 3)));
  const auto drop = [&] {
    nodes.give_back(root, takers.front());
    --root.count;
    takers.pop_front();
    ++oldest;
  };
  const auto compare = [&] {
    const auto expected = sorted_edges(takers, oldest);
    RC_ASSERT(nodes.check(suffix_nodes::root) == "");
    RC_ASSERT(root.n_edges() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto* found = nodes.find(root, expected[i].token);
      RC_ASSERT(found != nullptr);
      RC_ASSERT(found->count == expected[i].count);
      RC_ASSERT(nodes.newest(*found) == expected[i].end.start());
      RC_ASSERT((i >= root.first.size() || root.first[i].token == expected[i].token));
    }
  };
  for (const auto token : tokens) {
    const auto start = oldest + static_cast<std::uint32_t>(takers.size());
    RC_ASSERT((nodes.find(root, token) != nullptr) == (std::ranges::count(takers, token) > 0));
    if (nodes.find(root, token)) {
      nodes.redirect(root, token, edge_end::leaf(start));
      nodes.take(root, token);
    } else {
      nodes.add(root, token, start);
    }
    ++root.count;
    takers.push_back(token);
    compare();
    while (takers.size() > n_most) {
      drop();
      compare();
    }
  }
  while (!takers.empty()) {
    drop();
    compare();
  }
  RC_ASSERT(nodes.live_bytes() == empty_bytes);
}
