// The drafter's book of many sequences against one prompt lookup a sequence that always sees everything.
// Planted bugs that the histories caught: tokens sent twice are appended twice; an ended sequence keeps its
// table; a gap is ignored.
#include "actors/draft_book.hpp"
#include "tests/actors/fake_model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace souffleur {
namespace {

using testing::mixed;

struct shadow {
  std::vector<token_id> tokens;
  int n_known = 0; ///< as the last answer that was heard said
};

/// Tokens from `known` on; what the scheduler sends.
draft_wish wish_of(sequence_id id, const shadow& who, int n_max) {
  return {id, who.n_known, {who.tokens.begin() + who.n_known, who.tokens.end()}, n_max};
}

RC_GTEST_PROP(DraftBook, ProposesLikeALookupThatSawEverything, ()) {
  // (kind, sequence, amount)
  const auto commands = *rc::gen::container<std::vector<std::tuple<int, int, int>>>(
      rc::gen::tuple(rc::gen::weightedElement<int>({{6, 0}, {6, 1}, {2, 2}, {1, 3}, {1, 4}}),
                     rc::gen::inRange(0, 4), rc::gen::inRange(0, 12)));
  draft_book book;
  std::map<sequence_id, shadow> shadows;
  bool replaced = false;
  unsigned n_random = 0;
  for (const auto& [kind, number, amount] : commands) {
    const auto id = static_cast<sequence_id>(number);
    auto& who = shadows[id];
    if (kind == 0) { // the sequence grows
      for (int i = 0; i < amount; ++i)
        who.tokens.push_back(static_cast<token_id>(mixed(n_random++) % 3));
    } else if (kind == 3) { // it ends
      RC_ASSERT(book.answer({{}, {id}}).proposals.empty());
      shadows.erase(id);
    } else if (kind == 4) { // the book is replaced, and the scheduler is not told
      book = {};
      replaced = true;
    } else { // a wish; kind 2: the answer is not heard
      const auto offer = book.answer({{wish_of(id, who, amount)}, {}});
      RC_ASSERT(offer.proposals.size() == 1U);
      const auto& proposal = offer.proposals.front();
      RC_ASSERT(proposal.id == id);
      prompt_lookup all;
      all.append(who.tokens);
      if (proposal.n_known == static_cast<int>(who.tokens.size()))
        RC_ASSERT(proposal.draft.tokens() == all.propose(amount).tokens());
      else
        RC_ASSERT(replaced && proposal.draft.nodes.empty() && proposal.n_known == 0);
      if (kind == 1)
        who.n_known = proposal.n_known;
    }
    RC_ASSERT(book.size() <= shadows.size());
  }
  // Whoever was cut off by a replacement is known again after two wishes.
  for (auto& [id, who] : shadows) {
    who.n_known = book.answer({{wish_of(id, who, 1)}, {}}).proposals.front().n_known;
    who.n_known = book.answer({{wish_of(id, who, 1)}, {}}).proposals.front().n_known;
    RC_ASSERT(who.n_known == static_cast<int>(who.tokens.size()));
  }
}

TEST(DraftBook, AnswersInTheOrderOfTheWishes) {
  draft_book book;
  const auto offer = book.answer({{{7, 0, {1, 2, 1, 2, 1, 2}, 2}, {3, 0, {5, 5, 5}, 2}}, {}});
  ASSERT_EQ(offer.proposals.size(), 2U);
  EXPECT_EQ(offer.proposals[0].id, 7U);
  EXPECT_EQ(offer.proposals[0].draft.tokens(), (std::vector<token_id>{1, 2}));
  EXPECT_EQ(offer.proposals[1].id, 3U);
}

} // namespace
} // namespace souffleur
