// Growing a tree of drafted tokens, the most probable first.
#pragma once

#include "policies/draft_tree.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace souffleur {

/// Adds tokens below the committed text, whose state is `from`, in descending order of their path's
/// probability; equals in the order in which they were found. `continuations(state, found)` calls
/// `found(token, probability given the state, state after it)` for the tokens that may follow a state.
template <class State, class Continuations>
void grow(draft_tree& tree, const State& from, const draft_shape& shape, const Continuations& continuations) {
  struct candidate {
    draft_node node;
    float path_probability = 0;
    int number = 0;
    State state;
  };
  const auto worse = [](const candidate& a, const candidate& b) {
    return std::pair{a.path_probability, -a.number} < std::pair{b.path_probability, -b.number};
  };
  std::vector<candidate> heap;
  heap.reserve(2 * static_cast<std::size_t>(std::max(shape.n_max, 0)));
  auto n_found = 0;
  const auto look_below = [&](int parent, float above, const State& state) {
    continuations(state, [&](token_id token, float probability, const State& next) {
      if (above * probability >= shape.least_probability) {
        heap.push_back({{token, parent, probability}, above * probability, n_found++, next});
        std::ranges::push_heap(heap, worse);
      }
    });
  };
  look_below(-1, 1, from);
  while (!heap.empty() && static_cast<int>(tree.nodes.size()) < shape.n_max) {
    std::ranges::pop_heap(heap, worse);
    const auto best = std::move(heap.back());
    heap.pop_back();
    tree.nodes.push_back(best.node);
    look_below(static_cast<int>(tree.nodes.size()) - 1, best.path_probability, best.state);
  }
}

} // namespace souffleur
