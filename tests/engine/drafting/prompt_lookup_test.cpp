#include "engine/drafting/prompt_lookup.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;

namespace {

struct found_draft {
  std::vector<token_id> tokens;
  int match_length = 0;

  bool operator==(const found_draft&) const = default;
};

found_draft searched(const std::vector<token_id>& context, int n_max) {
  const int size = static_cast<int>(context.size());
  for (const int order : {8, 5, 3, 2})
    for (int start = size - order - 1; start >= 0 && n_max > 0; --start) {
      if (!std::equal(context.begin() + start, context.begin() + start + order, context.end() - order))
        continue;
      found_draft found;
      auto text = context; // which goes on with the draft
      for (int i = start + order; static_cast<int>(found.tokens.size()) < n_max; ++i) {
        found.tokens.push_back(text[static_cast<std::size_t>(i)]);
        text.push_back(found.tokens.back());
      }
      int n = 0;
      while (n < 64 && n < start + order &&
             context[static_cast<std::size_t>(start + order - 1 - n)] ==
                 context[static_cast<std::size_t>(size - 1 - n)])
        ++n;
      found.match_length = n;
      return found;
    }
  return {};
}

found_draft proposed(const prompt_lookup& lookup, int n_max) {
  const auto draft = lookup.propose(n_max);
  RC_ASSERT(draft.is_chain());
  for (const auto& node : draft.nodes)
    RC_ASSERT(node.probability > 0 && node.probability < 1);
  return {draft.tokens(), draft.match_length};
}

} // namespace

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
  const int n_max = *rc::gen::inRange(1, 12);
  RC_ASSERT(at_once.size() == context.size());
  RC_ASSERT(at_once.propose(*rc::gen::element(-1, 0)).nodes.empty());
  RC_ASSERT(proposed(at_once, n_max) == searched(context, n_max));
  RC_ASSERT(proposed(in_chunks, n_max) == searched(context, n_max));
}

TEST(PromptLookup, ContinuesARepeatedPhrase) {
  prompt_lookup lookup;
  const std::vector<token_id> context = {1, 2, 3, 4, 5, 9, 2, 3};
  lookup.append(context);
  EXPECT_EQ(lookup.propose(3).tokens(), (std::vector<token_id>{4, 5, 9}));
  EXPECT_TRUE(prompt_lookup().propose(4).nodes.empty());
}
