#include "engine/drafting/edge_table.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

using namespace souffleur;

/// Planted bugs that it caught: removal that leaves a gap, or that fills it with what belongs before it;
/// shrinking that loses the last place; what its owner keeps lost when it grows.
RC_GTEST_PROP(EdgeTable, HoldsWhatAMapHolds, ()) {
  edge_table table;
  std::map<token_id, std::uint32_t> model;
  const auto n_tokens = *rc::gen::inRange(1, 200);
  const auto n_most = *rc::gen::element<std::size_t>(3, 20, 200);
  const auto commands = *rc::gen::container<std::vector<std::pair<token_id, std::uint32_t>>>(
      rc::gen::pair(rc::gen::inRange<token_id>(-1, n_tokens), rc::gen::inRange<std::uint32_t>(1, 100)));
  for (const auto& [token, count] : commands) {
    RC_ASSERT(table.empty() == model.empty());
    const auto kept = model.empty() ? 0 : table.kept();
    if (model.contains(token)) {
      table.remove(token);
      model.erase(token);
    } else if (model.size() < n_most) {
      table.add({token, edge_end::leaf(count), count});
      model.emplace(token, count);
    }
    if (!model.empty()) {
      RC_ASSERT(table.kept() == kept);
      table.keep(count);
    }
    RC_ASSERT(table.size() == model.size());
    for (auto one = -1; one < n_tokens; ++one) {
      const auto* found = table.find(one);
      const auto expected = model.find(one);
      RC_ASSERT((found != nullptr) == (expected != model.end()));
      if (found) {
        RC_ASSERT(found->token == one && found->count == expected->second);
        RC_ASSERT(found->end.is_leaf() && found->end.start() == expected->second);
      }
    }
    auto n_placed = std::size_t{0};
    for (const auto& place : table.places()) {
      n_placed += place.count != 0 ? 1 : 0;
    }
    RC_ASSERT(n_placed == model.size());
  }
  for (; !model.empty(); model.erase(model.begin())) {
    RC_ASSERT(table.places().size() <= std::max<std::size_t>(4, 8 * model.size()));
    table.remove(model.begin()->first);
  }
  RC_ASSERT(table.bytes() == 0U);
}

RC_GTEST_PROP(EdgeEnd, IsWhatItWasMadeOf, ()) {
  const auto index = *rc::gen::inRange<node_index>(0, edge_end::most_nodes);
  const auto depth = *rc::gen::inRange<std::uint32_t>(0, edge_end::most_depth + 1);
  const auto node = edge_end::node(index, depth);
  RC_ASSERT(!node.is_leaf());
  RC_ASSERT(node.index() == index);
  RC_ASSERT(node.depth() == depth);
  const auto start = *rc::gen::inRange<std::uint32_t>(0, 1U << 31);
  RC_ASSERT(edge_end::leaf(start).is_leaf());
  RC_ASSERT(edge_end::leaf(start).start() == start);
}
