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

/// Of less than `n_most` tokens and something said again at its end, far from where it was said or near.
std::vector<token_id> any_text(std::size_t n_most) {
  const auto n_vocabulary = *rc::gen::element<token_id>(1, 2, 3, 6, 100, 50000);
  std::vector<token_id> text(*rc::gen::inRange<std::size_t>(0, n_most));
  for (auto& token : text)
    token = *rc::gen::inRange<token_id>(0, n_vocabulary);
  constexpr std::size_t n_again = 9;
  if (text.size() > 2 * n_again && *rc::gen::arbitrary<bool>()) {
    const auto begin = *rc::gen::inRange<std::size_t>(0, text.size() - n_again);
    for (std::size_t i = 0; i < n_again; ++i)
      text.push_back(text[begin + i]);
  }
  return text;
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

// Planted: a window that loses two tokens for each new one, or that finds what it has dropped; an index that
// is not made anew when the text grows, or without its last token; a hash that is taken for a match.
RC_GTEST_PROP(PromptLookup, KnowsNoMoreThanItsWindow, ()) {
  constexpr std::size_t n_window = 64;
  const auto text = any_text(250);
  prompt_lookup lookup{n_window};
  lookup.append(text);
  RC_ASSERT(lookup.size() == text.size());
  RC_ASSERT(lookup.bytes() <= n_window * 36);
  const auto n_seen = static_cast<std::ptrdiff_t>(std::min(text.size(), n_window));
  const int n_max = *rc::gen::inRange(1, 12);
  RC_ASSERT(proposed(lookup, n_max) == searched({text.end() - n_seen, text.end()}, n_max));
}

RC_GTEST_PROP(PromptLookup, FindsTheSameInATextThatGrows, ()) {
  const auto text = any_text(600);
  prompt_lookup lookup;
  for (std::size_t i = 0; i < text.size(); i += 50)
    lookup.append(std::span(text).subspan(i, std::min<std::size_t>(50, text.size() - i)));
  RC_ASSERT(proposed(lookup, 5) == searched(text, 5));
}

TEST(PromptLookup, ContinuesARepeatedPhrase) {
  prompt_lookup lookup;
  const std::vector<token_id> context = {1, 2, 3, 4, 5, 9, 2, 3};
  lookup.append(context);
  EXPECT_EQ(lookup.propose(3).tokens(), (std::vector<token_id>{4, 5, 9}));
  EXPECT_TRUE(prompt_lookup().propose(4).nodes.empty());
}
