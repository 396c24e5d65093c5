#include "engine/prompt_lookup.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;

namespace {

std::vector<token_id> searched(const std::vector<token_id>& context, int n_max) {
  const int size = static_cast<int>(context.size());
  for (const int order : {8, 5, 3, 2}) {
    for (int start = size - order - 1; start >= 0 && n_max > 0; --start) {
      if (std::equal(context.begin() + start, context.begin() + start + order, context.end() - order)) {
        return {context.begin() + start + order, context.begin() + std::min(size, start + order + n_max)};
      }
    }
  }
  return {};
}

} // namespace

// Fails if propose() takes `latest` for `previous`, or if the orders are tried shortest first.
RC_GTEST_PROP(PromptLookup, ProposesWhatASearchThroughTheContextFinds, ()) {
  const auto n_vocabulary = *rc::gen::inRange<token_id>(1, 6);
  const auto context =
      *rc::gen::container<std::vector<token_id>>(rc::gen::inRange<token_id>(0, n_vocabulary));
  prompt_lookup at_once;
  at_once.append(context);
  prompt_lookup in_chunks;
  for (std::size_t i = 0; i < context.size();) {
    const auto n = std::min(context.size() - i, *rc::gen::inRange<std::size_t>(1, 8));
    in_chunks.append(std::span(context).subspan(i, n));
    i += n;
  }
  const int n_max = *rc::gen::inRange(-1, 12);
  RC_ASSERT(at_once.size() == context.size());
  RC_ASSERT(at_once.propose(n_max) == searched(context, n_max));
  RC_ASSERT(in_chunks.propose(n_max) == at_once.propose(n_max));
}

TEST(PromptLookup, ContinuesARepeatedPhrase) {
  prompt_lookup lookup;
  const std::vector<token_id> context = {1, 2, 3, 4, 5, 9, 2, 3};
  lookup.append(context);
  EXPECT_EQ(lookup.propose(3), (std::vector<token_id>{4, 5, 9}));
  EXPECT_TRUE(prompt_lookup().propose(4).empty());
}
