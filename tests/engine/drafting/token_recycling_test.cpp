#include "engine/drafting/token_recycling.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

using namespace souffleur;

namespace {

std::vector<likely_token> any_successors(int n_vocabulary) {
  auto all = std::vector<likely_token>();
  for (auto token = 0; token < n_vocabulary; ++token) {
    if (*rc::gen::arbitrary<bool>()) {
      all.push_back({token, static_cast<float>(*rc::gen::inRange(1, 9)) / 16});
    }
  }
  std::ranges::stable_sort(all, std::ranges::greater(), &likely_token::probability);
  return all;
}

} // namespace

// The paths are searched for among all that are still open, anew for each token.
RC_GTEST_PROP(TokenRecycling, FollowsWhatWasNotedLastAlongTheMostProbablePaths, ()) {
  const auto n_vocabulary = *rc::gen::inRange(1, 14);
  token_recycling table{n_vocabulary};
  std::map<token_id, std::vector<likely_token>> noted;
  for (auto n = *rc::gen::inRange(0, 20); n > 0; --n) {
    const auto token = *rc::gen::inRange<token_id>(0, n_vocabulary);
    noted[token] = any_successors(n_vocabulary);
    table.note(token, noted[token]);
  }
  const auto last = *rc::gen::inRange<token_id>(0, n_vocabulary);
  const draft_shape shape{*rc::gen::inRange(0, 12), *rc::gen::inRange(1, 10),
                          *rc::gen::element(0.0F, 0.05F, 0.3F)};
  const auto found = table.propose(last, shape);

  struct path {
    draft_node node;
    float probability;
  };
  std::vector<path> open;
  const auto look_below = [&](int parent, float above, token_id token) {
    auto n = std::size_t{0};
    for (const auto& one : noted[token]) {
      if (n++ < std::min<std::size_t>(8, static_cast<std::size_t>(shape.n_branches)) &&
          above * one.probability >= shape.least_probability) {
        open.push_back({{one.token, parent, one.probability}, above * one.probability});
      }
    }
  };
  look_below(-1, 1, last);
  std::size_t n_expected = 0;
  for (; !open.empty() && static_cast<int>(n_expected) < shape.n_max; ++n_expected) {
    const auto best = std::ranges::max_element(open, {}, &path::probability);
    const auto expected = *best;
    open.erase(best);
    RC_ASSERT(found.nodes.size() > n_expected);
    RC_ASSERT(found.nodes[n_expected].token == expected.node.token);
    RC_ASSERT(found.nodes[n_expected].parent == expected.node.parent);
    RC_ASSERT(found.nodes[n_expected].probability == expected.node.probability);
    look_below(static_cast<int>(n_expected), expected.probability, expected.node.token);
  }
  RC_ASSERT(found.nodes.size() == n_expected);
}

/// Planted bug that it caught: as many successors drafted as there are.
TEST(TokenRecycling, BranchesNoMoreThanItMay) {
  token_recycling table{10};
  table.note(1, std::vector<likely_token>{{2, 0.5F}, {3, 0.4F}, {4, 0.3F}});
  EXPECT_EQ(table.propose(1, {8, 2}).tokens(), (std::vector<token_id>{2, 3}));
}

TEST(TokenRecycling, TakesOneRowForEachTokenSeen) {
  token_recycling table{1000};
  const auto before = table.bytes();
  for (auto i = 0; i < 100; ++i) {
    table.note(5, std::vector<likely_token>{{6, 0.5F}});
  }
  EXPECT_LE(table.bytes(), before + 3 * 64);
}
