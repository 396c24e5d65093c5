// The drafter's book of many sequences against drafters of one sequence each that always see everything.
#include "actors/draft_book.hpp"
#include "tests/actors/fake_model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace souffleur {
namespace {

using testing::mixed;
using tokens = std::vector<token_id>;

std::shared_ptr<const draft_subject> subject_of(std::string tenant, int n_prompt,
                                                const char* drafter = "suffix", tokens prediction = {},
                                                int n_branches = 1) {
  return std::make_shared<const draft_subject>(std::move(tenant), n_prompt, *drafters_named(drafter),
                                               n_branches, std::move(prediction));
}

draft_book empty_book() { return {std::size_t{32} << 20, 1 << 18}; }

draft_offer tell(draft_book& book, const draft_demand& demand) {
  auto offer = book.answer(demand);
  book.conclude(demand);
  return offer;
}

struct shadow {
  tokens text;
  std::shared_ptr<const draft_subject> subject;
  int n_known = 0;   ///< as the last answer that was heard said
  int n_in_book = 0; ///< what the book has

  /// The book is told what it may not know; false if there is a gap before.
  bool tell() {
    if (n_known > n_in_book)
      return false;
    n_in_book = std::max(n_in_book, static_cast<int>(text.size()));
    return true;
  }
  /// Tokens from `n_known` on; what the scheduler sends.
  tokens unknown() const { return {text.begin() + n_known, text.end()}; }
  draft_wish wish(sequence_id id, int n_max) const { return {id, n_known, unknown(), n_max, subject, {}}; }
  draft_ending ending(sequence_id id, bool is_answer) const {
    return {id, n_known, is_answer ? unknown() : tokens{}, subject, is_answer};
  }
};

/// What the book keeps of the tenants' answers, in a book that is told of whole sequences only.
struct told_at_once {
  answer_trees answers{std::size_t{1} << 24, std::size_t{1} << 24};

  void add(const shadow& who) {
    const auto n_prompt = std::min(who.text.size(), static_cast<std::size_t>(who.subject->n_prompt));
    answers.add(who.subject->tenant, std::span{who.text}.subspan(n_prompt));
  }
  std::vector<draft_tree> drafts(const shadow& who, int n_max) {
    sequence_drafters drafters{who.subject->drafters, who.subject->prediction};
    drafters.append(who.text);
    return drafters.propose({answers.find(who.subject->tenant), nullptr}, {n_max, who.subject->n_branches});
  }
};

void check_alike(const std::vector<draft_tree>& found, const std::vector<draft_tree>& expected) {
  RC_ASSERT(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    RC_ASSERT(found[i].origin == expected[i].origin);
    RC_ASSERT(found[i].match_length == expected[i].match_length);
    RC_ASSERT(found[i].tokens() == expected[i].tokens());
  }
}

RC_GTEST_PROP(DraftBook, ProposesLikeDraftersThatSawEverything, ()) {
  // (kind, sequence, amount)
  const auto commands = *rc::gen::container<std::vector<std::tuple<int, int, int>>>(
      rc::gen::tuple(rc::gen::weightedElement<int>({{6, 0}, {6, 1}, {2, 2}, {1, 3}, {1, 4}, {2, 5}}),
                     rc::gen::inRange(0, 4), rc::gen::inRange(0, 12)));
  auto book = empty_book();
  told_at_once all;
  std::map<sequence_id, shadow> shadows;
  sequence_id n_ids = 0;
  std::map<int, sequence_id> ids;
  unsigned n_random = 0;
  for (const auto& [kind, number, amount] : commands) {
    if (!ids.contains(number)) {
      ids[number] = n_ids++;
      const std::string tenant = number % 2 == 0 ? "a" : "b";
      const auto prediction = number == 3 ? tokens{1, 2, 1, 0} : tokens{};
      shadows[ids[number]] = {{}, subject_of(tenant, 3, "suffix", prediction, 1 + number % 3), 0};
    }
    const auto id = ids[number];
    auto& who = shadows[id];
    if (kind == 0) { // the sequence grows
      for (int i = 0; i < amount; ++i)
        who.text.push_back(static_cast<token_id>(mixed(n_random++) % 3));
    } else if (kind == 3 || kind == 5) { // it ends
      const bool is_answer = kind == 5;
      if (is_answer && who.tell())
        all.add(who);
      RC_ASSERT(tell(book, {{}, {who.ending(id, is_answer)}}).proposals.empty());
      shadows.erase(id);
      ids.erase(number);
    } else if (kind == 4) { // the book is replaced, and the scheduler is not told
      book = empty_book();
      all = {};
      for (auto& [_, each] : shadows)
        each.n_in_book = 0;
    } else { // a wish; kind 2: the answer is not heard
      const auto offer = tell(book, {{who.wish(id, amount)}, {}});
      RC_ASSERT(offer.proposals.size() == 1U);
      const auto& proposal = offer.proposals.front();
      RC_ASSERT(proposal.id == id);
      const bool is_told = who.tell();
      RC_ASSERT(proposal.n_known == who.n_in_book);
      check_alike(proposal.drafts, is_told ? all.drafts(who, amount) : std::vector<draft_tree>{});
      if (kind == 1)
        who.n_known = proposal.n_known;
    }
    RC_ASSERT(book.size() <= shadows.size());
  }
  // Whoever was cut off by a replacement is known again after two wishes.
  for (auto& [id, who] : shadows) {
    who.n_known = tell(book, {{who.wish(id, 1)}, {}}).proposals.front().n_known;
    who.n_known = tell(book, {{who.wish(id, 1)}, {}}).proposals.front().n_known;
    RC_ASSERT(who.n_known == static_cast<int>(who.text.size()));
  }
}

TEST(DraftBook, AnswersInTheOrderOfTheWishes) {
  auto book = empty_book();
  const auto subject = subject_of("", 0);
  const auto offer =
      tell(book, {{{7, 0, {1, 2, 1, 2, 1, 2}, 2, subject, {}}, {3, 0, {5, 5, 5}, 2, subject, {}}}, {}});
  ASSERT_EQ(offer.proposals.size(), 2U);
  EXPECT_EQ(offer.proposals[0].id, 7U);
  EXPECT_EQ(offer.proposals[0].drafts.front().tokens(), (tokens{1, 2}));
  EXPECT_EQ(offer.proposals[1].id, 3U);
}

TEST(DraftBook, DraftsFromWhatTheClientPredicts) {
  auto book = empty_book();
  const auto subject = subject_of("", 2, "auto", {7, 8, 9, 10});
  const auto offer = tell(book, {{{1, 0, {4, 5, 7}, 3, subject, {}}}, {}});
  ASSERT_EQ(offer.proposals.front().drafts.size(), 1U);
  EXPECT_EQ(offer.proposals.front().drafts.front().origin, token_origin::prediction);
  EXPECT_EQ(offer.proposals.front().drafts.front().tokens(), (tokens{8, 9, 10}));
}

TEST(DraftBook, DraftsFromAnAnswerThatNothingWasDraftedFor) {
  auto book = empty_book();
  const tokens text{1, 2, 3, 4, 5, 6};
  tell(book, {{}, {{1, 0, text, subject_of("a", 2), true}}});
  EXPECT_EQ(book.size(), 0U);
  const auto of = [&](const char* tenant) {
    return tell(book, {{{2, 0, {3, 4}, 2, subject_of(tenant, 1), {}}}, {}}).proposals.front().drafts;
  };
  ASSERT_EQ(of("a").size(), 1U);
  EXPECT_EQ(of("a").front().origin, token_origin::answers);
  EXPECT_EQ(of("a").front().tokens(), (tokens{5, 6}));
  tell(book, {{}, {{2, 0, {}, subject_of("a", 1), false}}});
  EXPECT_TRUE(of("b").empty());
}

TEST(DraftBook, RecyclesWhatTheModelThoughtLikelyForItsTenantAlone) {
  auto book = empty_book();
  const auto of = [&](sequence_id id, const char* tenant, std::vector<token_successors> successors) {
    return tell(book, {{{id, 0, {3}, 2, subject_of(tenant, 0, "recycling"), std::move(successors)}}, {}})
        .proposals.front()
        .drafts;
  };
  ASSERT_EQ(of(1, "a", {{3, {{4, 0.9F}}}, {4, {{5, 0.8F}}}}).size(), 1U);
  EXPECT_EQ(of(2, "a", {}).front().tokens(), (tokens{4, 5}));
  EXPECT_TRUE(of(3, "b", {}).empty());
}

/// Planted bugs that it caught: tables of all tenants kept; a note is no use, so a tenant that goes on noting
/// loses its table; nothing noted.
RC_GTEST_PROP(DraftBook, RecyclesForTheTenantsThatNotedLast, ()) {
  constexpr std::size_t n_kept = 4;
  auto book = empty_book();
  std::map<std::string, std::map<token_id, token_id>> known;
  std::vector<std::string> by_note; // the one that noted last comes first
  for (sequence_id id = *rc::gen::inRange<sequence_id>(0, 60); id > 0; --id) {
    const auto tenant = std::to_string(*rc::gen::inRange(0, 6));
    const auto last = *rc::gen::inRange<token_id>(0, 3);
    std::vector<token_successors> noted;
    if (*rc::gen::arbitrary<bool>()) {
      const auto token = *rc::gen::inRange<token_id>(0, 3);
      const auto next = *rc::gen::inRange<token_id>(0, 100);
      noted = {{token, {{next, 0.9F}}}};
      known[tenant][token] = next;
      std::erase(by_note, tenant);
      by_note.insert(by_note.begin(), tenant);
      if (by_note.size() > n_kept) {
        known.erase(by_note.back());
        by_note.pop_back();
      }
    }
    const auto drafts = tell(book, {{{id, 0, {last}, 1, subject_of(tenant, 0, "recycling"), noted}}, {}})
                            .proposals.front()
                            .drafts;
    RC_ASSERT(drafts.empty() == !known[tenant].contains(last));
    if (!drafts.empty())
      RC_ASSERT(drafts.front().tokens() == tokens{known[tenant][last]});
  }
}

/// Planted bug that it caught: it drafts from what it knows.
TEST(DraftBook, BehindAGapItDraftsNothingAndSaysWhatItKnows) {
  auto book = empty_book();
  const auto subject = subject_of("", 0);
  tell(book, {{{1, 0, {1, 2, 1, 2, 1}, 2, subject, {}}}, {}});
  const auto offer = tell(book, {{{1, 7, {1}, 2, subject, {}}}, {}});
  EXPECT_TRUE(offer.proposals.front().drafts.empty());
  EXPECT_EQ(offer.proposals.front().n_known, 5);
}

TEST(DraftBook, KeepsAnswersOnlyWhereTheyAreDraftedFrom) {
  auto book = empty_book();
  const tokens text{1, 2, 3, 4, 5, 6};
  for (const auto* drafter : {"prompt_lookup", "recycling"})
    tell(book, {{}, {{1, 0, text, subject_of("a", 2, drafter), true}}});
  EXPECT_EQ(book.size(), 0U);
  EXPECT_TRUE(tell(book, {{{2, 0, {3, 4}, 2, subject_of("a", 1), {}}}, {}}).proposals.front().drafts.empty());
}

TEST(DraftBook, WhoAsksWhenAnotherEndsIsNotKeptWaitingForTheAnswer) {
  auto book = empty_book();
  const draft_wish wish{2, 0, {3, 4}, 2, subject_of("a", 1), {}};
  const draft_demand demand{{wish}, {{1, 0, {1, 2, 3, 4, 5, 6}, subject_of("a", 2), true}}};
  EXPECT_TRUE(book.answer(demand).proposals.front().drafts.empty());
  book.conclude(demand);
  EXPECT_EQ(book.answer({{wish}, {}}).proposals.front().drafts.front().tokens(), (tokens{5, 6}));
}

} // namespace
} // namespace souffleur
