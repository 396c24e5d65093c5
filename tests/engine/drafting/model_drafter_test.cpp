#include "engine/drafting/model_drafter.hpp"

#include "engine/sampler.hpp"
#include "tests/actors/fake_model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

/// Counts rows. Its keys and values are the tokens themselves, so that a stale one changes what it says.
class counted_model : public fake_model {
public:
  using fake_model::fake_model;
  void forward(std::span<const sequence_rows> batch, std::span<float> logits) override {
    n_most_rows = 0;
    for (const auto& rows : batch) {
      n_rows += static_cast<int>(rows.tokens.size());
      n_most_rows += static_cast<int>(rows.tokens.size());
    }
    n_ever_most = std::max(n_ever_most, n_most_rows);
    fake_model::forward(batch, logits);
  }
  int n_rows = 0;
  int n_most_rows = 0;
  int n_ever_most = 0;
};

using text = std::vector<token_id>;

/// What the draft model alone, without pages, says after a text.
struct oracle {
  sampling_params sampling;
  int n_prompt = 0;
  int n_shared_vocabulary = fake_vocabulary;
  int context_length = 4096;
  model_drafter_options options;

  std::vector<draft_node> draft(text tokens, int n_max) const {
    std::vector<draft_node> nodes;
    if (static_cast<int>(tokens.size()) > context_length)
      return nodes;
    while (static_cast<int>(nodes.size()) < n_max && static_cast<int>(tokens.size()) <= context_length) {
      const auto [token, likeliest] = next(tokens);
      if (likeliest <= options.least_probability)
        break;
      nodes.push_back({token, static_cast<int>(nodes.size()) - 1, static_cast<float>(likeliest)});
      tokens.push_back(token);
      if (token == fake_end && !sampling.ignore_eos)
        break;
    }
    return nodes;
  }

private:
  std::pair<token_id, double> next(const text& tokens) const {
    std::uint64_t hash = 0;
    token_counts counts;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      hash = extended(hash, tokens[i]);
      ++(static_cast<int>(i) < n_prompt ? counts.prompt : counts.output)[tokens[i]];
    }
    std::vector<float> logits(fake_vocabulary);
    fake_logits(hash, tokens.back(), logits);
    logits.resize(static_cast<std::size_t>(n_shared_vocabulary));
    const auto raw = logits;
    const bool too_short = static_cast<int>(tokens.size()) - n_prompt < sampling.min_tokens;
    const text forbidden = too_short ? text{fake_end} : text{};
    const auto law = next_token_distribution(logits, sampling, &counts, forbidden);
    if (sampling.temperature == 0)
      return {most_likely(law), std::exp(logprobs_of(raw, argmax(raw), 0).chosen)};
    const double likeliest = *std::ranges::max_element(law.probabilities);
    const uniform_coins coins{[&](const coin& which) {
      return counter_uniform(sampling.seed, tokens.size() + static_cast<std::size_t>(which.offset),
                             which.purpose, which.index);
    }};
    switch (options.draw) {
    case draft_draw::most_likely:
      return {most_likely(law), likeliest};
    case draft_draw::gumbel:
      return {coins.race(0, law), likeliest};
    case draft_draw::coupled:
      break;
    }
    return {token_at(law, coins_at(tokens.size())), likeliest};
  }
  double coins_at(std::size_t position) const {
    return counter_uniform(sampling.seed, position, rng_purpose::sample);
  }
};

void expect_equal(const draft_tree& draft, const std::vector<draft_node>& expected) {
  RC_ASSERT(draft.is_chain());
  RC_ASSERT(draft.origin == token_origin::draft_model);
  RC_ASSERT(draft.nodes.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    RC_ASSERT(draft.nodes[i].token == expected[i].token);
    RC_ASSERT(std::abs(draft.nodes[i].probability - expected[i].probability) < 1e-4F);
  }
}

int any_in(int least, int beyond) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(least, beyond));
}

text any_tokens(int n_least, int n_most) {
  text tokens(static_cast<std::size_t>(any_in(n_least, n_most + 1)));
  for (auto& token : tokens)
    token = any_in(0, 30);
  return tokens;
}

sampling_params any_sampling() {
  sampling_params sampling;
  sampling.temperature = *rc::gen::element(0.0F, 0.0F, 0.3F, 1.0F);
  sampling.seed = *rc::gen::arbitrary<std::uint64_t>();
  sampling.min_tokens = *rc::gen::element(0, 0, 8);
  sampling.ignore_eos = *rc::gen::arbitrary<bool>();
  sampling.presence_penalty = *rc::gen::element(0.0F, 0.0F, 1.5F);
  sampling.repetition_penalty = *rc::gen::element(1.0F, 1.0F, 1.3F);
  sampling.top_k = *rc::gen::element(0, 0, 3);
  return sampling;
}

struct live_sequence {
  text tokens;
  oracle expected;
  int n_known = 0;
  text draft; ///< the last one
  std::string salt;
};

/// The sequence goes on: with some or all of its draft, and then with something else, or anyhow.
void commit(live_sequence& one) {
  const auto n_stand = static_cast<std::size_t>(any_in(0, static_cast<int>(one.draft.size()) + 1));
  one.tokens.insert(one.tokens.end(), one.draft.begin(),
                    one.draft.begin() + static_cast<std::ptrdiff_t>(n_stand));
  const auto more = any_tokens(0, *rc::gen::element(1, 1, 2, 20));
  one.tokens.insert(one.tokens.end(), more.begin(), more.end());
  one.draft.clear();
}

} // namespace

RC_GTEST_PROP(ModelDrafter, DraftsWhatTheModelSaysOfTheExactTextWhateverCameBefore, ()) {
  model_drafter_options options;
  options.n_catch_up_rows = *rc::gen::element(1, 3, 16, 40, 1000);
  options.least_probability = *rc::gen::element(0.0, 0.15, 0.4);
  options.draw = *rc::gen::element(draft_draw::most_likely, draft_draw::coupled, draft_draw::gumbel);
  const int n_pages = *rc::gen::element(2, 5, 9, 200);
  const int context = *rc::gen::element(40, 4096);
  const int n_shared = *rc::gen::element(9, fake_vocabulary, fake_vocabulary, 1000);
  auto model = std::make_shared<counted_model>(n_pages, context);
  model_drafter drafter{model, n_shared, {fake_end}, make_eviction_policy("lru"), options};

  const auto prefix = any_tokens(0, 60);
  std::map<sequence_id, live_sequence> live;
  sequence_id next_id = 1;
  const int n_rounds = any_in(1, 30);
  for (int round = 0; round < n_rounds; ++round) {
    if (live.size() < 4 && (live.empty() || any_in(0, 3) == 0)) {
      auto& made = live[next_id++];
      const auto n_alike = any_in(0, static_cast<int>(prefix.size()) + 1);
      made.tokens = {prefix.begin(), prefix.begin() + n_alike};
      const auto own = any_tokens(1, 20);
      made.tokens.insert(made.tokens.end(), own.begin(), own.end());
      made.salt = *rc::gen::element("a", "b");
      made.expected = {any_sampling(), static_cast<int>(made.tokens.size()),
                       std::min(n_shared, fake_vocabulary), context, options};
    }
    std::vector<model_draft_wish> wishes;
    for (auto& [id, one] : live) {
      if (any_in(0, 4) == 0)
        continue;
      // Also what the drafter has already, and sometimes not all that it lacks.
      auto offset =
          *rc::gen::weightedOneOf<int>({{8, rc::gen::just(one.n_known)},
                                        {1, rc::gen::inRange(0, one.n_known + 1)},
                                        {1, rc::gen::inRange(0, static_cast<int>(one.tokens.size()) + 1)}});
      wishes.push_back({id, one.salt, offset, std::span{one.tokens}.subspan(static_cast<std::size_t>(offset)),
                        one.expected.n_prompt, any_in(0, 7), &one.expected.sampling});
    }
    model->n_ever_most = 0;
    const auto drafts = drafter.propose(wishes);
    RC_ASSERT(model->complaint().empty());
    RC_ASSERT(drafter.check_integrity().empty());
    RC_ASSERT(model->n_ever_most <= std::max(options.n_catch_up_rows, static_cast<int>(wishes.size())));
    RC_ASSERT(drafts.size() == wishes.size());
    for (std::size_t i = 0; i < wishes.size(); ++i) {
      auto& one = live[wishes[i].id];
      const auto& made = drafts[i];
      one.n_known = made.n_known;
      one.draft = made.draft.tokens();
      if (wishes[i].n_max == 0)
        RC_ASSERT(one.draft.empty());
      if (one.draft.empty())
        continue;
      RC_ASSERT(made.n_known == static_cast<int>(one.tokens.size()));
      expect_equal(made.draft, one.expected.draft(one.tokens, wishes[i].n_max));
    }
    for (int n_looks = *rc::gen::element(0, 0, 1, 3, 20); n_looks > 0; --n_looks)
      if (!drafter.look_ahead())
        break;
    for (auto it = live.begin(); it != live.end();) {
      commit(it->second);
      if (any_in(0, 8) == 0) {
        drafter.end(it->first);
        it = live.erase(it);
      } else {
        ++it;
      }
    }
  }

  // Alone, and asked often enough, each has the whole of what the model would say, if there is room for it.
  while (!live.empty()) {
    auto& [id, one] = *live.begin();
    const auto n = static_cast<int>(one.tokens.size());
    std::vector<draft_node> nodes;
    for (int i = 0; nodes.empty() && i <= n; ++i)
      nodes = drafter
                  .propose(std::vector<model_draft_wish>{
                      {id, one.salt, 0, one.tokens, one.expected.n_prompt, 4, &one.expected.sampling}})[0]
                  .draft.nodes;
    const bool has_room = pages_for(std::min(n + 3, context)) <= n_pages;
    const auto expected = has_room ? one.expected.draft(one.tokens, 4) : std::vector<draft_node>{};
    RC_ASSERT(nodes.size() == expected.size());
    RC_ASSERT(model->complaint().empty());
    drafter.end(id);
    live.erase(live.begin());
  }
  RC_ASSERT(drafter.size() == 0U);
  RC_ASSERT(drafter.occupancy().n_owned == 0);
  RC_ASSERT(drafter.occupancy().n_pinned == 0);
}

namespace {

/// A drafter of greedy drafts that are as long as they may be, and one sequence of it.
/// Drafts whatever is asked of it.
model_drafter drafter_of(std::shared_ptr<counted_model> model) {
  return {std::move(model),
          fake_vocabulary,
          {},
          make_eviction_policy("lru"),
          {.n_catch_up_rows = 64, .least_probability = 0, .draw = draft_draw::coupled}};
}

struct ModelDrafting : ::testing::Test {
  std::shared_ptr<counted_model> model = std::make_shared<counted_model>(40);
  sampling_params sampling;
  text tokens;
  int n_known = 0;
  model_drafter drafter = drafter_of(model);

  ModelDrafting() { sampling.temperature = 0; }

  model_draft_wish wish(sequence_id id, const text& of, int n_max) const {
    return {id, "", 0, of, static_cast<int>(of.size()), n_max, &sampling};
  }
  /// Rows computed for the wish, and what is drafted.
  std::pair<int, text> rows_for(sequence_id id, const text& of, int n_max) {
    const int before = model->n_rows;
    const auto drafts = drafter.propose(std::vector{wish(id, of, n_max)});
    return {model->n_rows - before, drafts[0].draft.tokens()};
  }
};

text a_text(int n) {
  text tokens;
  for (int i = 0; i < n; ++i)
    tokens.push_back((i * 7 + i * i) % 30);
  return tokens;
}

} // namespace

TEST_F(ModelDrafting, KeysAndValuesOfDraftedTokensThatStoodAreNotComputedAgain) {
  auto tokens = a_text(20);
  const auto [n_first, draft] = rows_for(1, tokens, 5);
  ASSERT_EQ(draft.size(), 5U);
  EXPECT_EQ(n_first, 20 + 4);
  tokens.insert(tokens.end(), draft.begin(), draft.end());
  tokens.push_back(7);
  EXPECT_EQ(rows_for(1, tokens, 1).first, 2); // the last drafted one and the new one
}

TEST_F(ModelDrafting, WhatFollowsADraftThatStandsIsThereWhenItIsAskedFor) {
  auto tokens = a_text(20);
  const auto draft = rows_for(1, tokens, 3).second;
  int n_passes = 0;
  while (drafter.look_ahead())
    ++n_passes;
  EXPECT_EQ(n_passes, 4); // the token behind the draft, and three more
  auto apart = drafter_of(std::make_shared<counted_model>(40));
  tokens.insert(tokens.end(), draft.begin(), draft.end());
  tokens.push_back(apart.propose(std::vector{wish(1, tokens, 1)})[0].draft.tokens()[0]);
  const auto [n_rows, next] = rows_for(1, tokens, 3);
  EXPECT_EQ(n_rows, 0);
  EXPECT_EQ(next, apart.propose(std::vector{wish(1, tokens, 3)})[0].draft.tokens());
  EXPECT_TRUE(drafter.look_ahead()); // and so on
}

TEST_F(ModelDrafting, WhatFollowsADraftIsOfNoUseIfSomethingElseDoes) {
  auto tokens = a_text(20);
  const auto draft = rows_for(1, tokens, 3).second;
  while (drafter.look_ahead()) {
  }
  tokens.insert(tokens.end(), draft.begin(), draft.begin() + 2);
  tokens.push_back((draft[2] + 1) % 30);
  EXPECT_EQ(rows_for(1, tokens, 1).first, 1);
  EXPECT_EQ(model->complaint(), "");
}

TEST_F(ModelDrafting, NobodyLosesPagesToWhatMayNeverBeAsked) {
  const auto narrow_model = std::make_shared<counted_model>(4);
  auto narrow = drafter_of(narrow_model);
  const auto one = a_text(31);
  const auto other = text(31, 5);
  const std::vector both{wish(1, one, 2), wish(2, other, 2)};
  narrow.propose(both);
  while (narrow.look_ahead()) {
  }
  narrow_model->n_rows = 0;
  narrow.propose(both);
  EXPECT_EQ(narrow_model->n_rows, 0);
}

TEST_F(ModelDrafting, OfARejectedDraftOnlyWhatStoodIsKept) {
  auto tokens = a_text(20);
  const auto [n_first, draft] = rows_for(1, tokens, 5);
  tokens.insert(tokens.end(), draft.begin(), draft.begin() + 2);
  tokens.push_back((draft[2] + 1) % 30);
  EXPECT_EQ(rows_for(1, tokens, 1).first, 1);
}

TEST_F(ModelDrafting, ADraftThatIsAskedForAgainIsNotTakenForALongerOne) {
  auto tokens = a_text(20);
  const auto draft = rows_for(1, tokens, 3).second;
  ASSERT_EQ(rows_for(1, tokens, 3).second, draft);
  for (int i = 0; i < 2; ++i)
    tokens.insert(tokens.end(), draft.begin(), draft.begin() + 2);
  const auto again = rows_for(1, tokens, 1);
  EXPECT_EQ(again.first, 2);
  EXPECT_EQ(again.second, rows_for(2, tokens, 1).second);
  EXPECT_EQ(model->complaint(), "");
}

TEST_F(ModelDrafting, ALongTextIsCaughtUpWithInChunksAndThenDraftedFrom) {
  const auto tokens = a_text(150);
  EXPECT_EQ(rows_for(1, tokens, 2), (std::pair{64, text{}}));
  EXPECT_EQ(rows_for(1, tokens, 2), (std::pair{64, text{}}));
  const auto [n_rows, draft] = rows_for(1, tokens, 2);
  EXPECT_EQ(n_rows, 22 + 1);
  EXPECT_EQ(draft.size(), 2U);
}

TEST_F(ModelDrafting, NothingIsDraftedAfterAGap) {
  const auto tokens = a_text(20);
  rows_for(1, tokens, 2);
  auto late = wish(1, tokens, 2);
  late.offset = 25;
  const auto drafts = drafter.propose(std::vector{late});
  EXPECT_TRUE(drafts[0].draft.nodes.empty());
  EXPECT_EQ(drafts[0].n_known, 20);
}

TEST_F(ModelDrafting, ASecondSequenceFindsThePrefixOfTheFirst) {
  auto tokens = a_text(50);
  rows_for(1, tokens, 1);
  tokens.push_back(3);
  EXPECT_EQ(rows_for(2, tokens, 1).first, 51 - 48);
}

TEST_F(ModelDrafting, AnotherNamespaceFindsNothing) {
  const auto tokens = a_text(50);
  rows_for(1, tokens, 1);
  auto other = wish(2, tokens, 1);
  other.salt = "other";
  const int before = model->n_rows;
  drafter.propose(std::vector{other});
  EXPECT_EQ(model->n_rows - before, 50);
}

TEST_F(ModelDrafting, AllWishesOfADemandShareOneForwardPassPerDepth) {
  const auto one = a_text(20);
  const auto other = a_text(9);
  drafter.propose(std::vector{wish(1, one, 4), wish(2, other, 4), wish(3, other, 2)});
  EXPECT_EQ(model->n_forwards, 4);
}

TEST_F(ModelDrafting, ALongPromptDoesNotHoldUpWhoLacksLittle) {
  const auto small = a_text(10);
  const auto large = a_text(300);
  const auto drafts = drafter.propose(std::vector{wish(1, large, 2), wish(2, small, 2)});
  EXPECT_TRUE(drafts[0].draft.nodes.empty());
  EXPECT_EQ(drafts[1].draft.nodes.size(), 2U);
}

TEST_F(ModelDrafting, WhoIsNotWishedForGivesWayToWhoIs) {
  auto narrow = drafter_of(std::make_shared<counted_model>(4));
  const auto one = a_text(40);
  const auto other = text(40, 5);
  EXPECT_EQ(narrow.propose(std::vector{wish(1, one, 2)})[0].draft.nodes.size(), 2U);
  EXPECT_EQ(narrow.propose(std::vector{wish(2, other, 2)})[0].draft.nodes.size(), 2U);
  const auto both = narrow.propose(std::vector{wish(1, one, 2), wish(2, other, 2)});
  EXPECT_EQ(both[0].draft.nodes.size() + both[1].draft.nodes.size(), 2U);
}

TEST_F(ModelDrafting, TheLastDraftedTokenNeedsNoPage) {
  auto narrow = drafter_of(std::make_shared<counted_model>(2));
  const auto tokens = a_text(30);
  EXPECT_EQ(narrow.propose(std::vector{wish(1, tokens, 3)})[0].draft.nodes.size(), 3U);
  EXPECT_TRUE(narrow.propose(std::vector{wish(1, tokens, 4)})[0].draft.nodes.empty());
  EXPECT_EQ(narrow.occupancy().n_owned + narrow.occupancy().n_pinned, 0);
}

TEST_F(ModelDrafting, TheLastTokenIsNeverComputedIntoAPageThatOthersUse) {
  const auto tokens = a_text(32);
  const std::vector both{wish(1, tokens, 1), wish(2, tokens, 1)};
  drafter.propose(both);
  drafter.propose(both);
  EXPECT_EQ(model->complaint(), "");
}

TEST_F(ModelDrafting, WhatIsComputedAgainIsPublishedAgain) {
  const auto small = std::make_shared<counted_model>(4);
  model_drafter narrow{small, fake_vocabulary, {}, make_eviction_policy("lru")};
  const auto one = a_text(40);
  const auto other = text(60, 5);
  narrow.propose(std::vector{wish(1, one, 1)});
  narrow.propose(std::vector{wish(2, other, 1)});
  narrow.end(2);
  narrow.propose(std::vector{wish(1, one, 1)});
  narrow.end(1);
  small->n_rows = 0;
  narrow.propose(std::vector{wish(3, one, 1)});
  EXPECT_EQ(small->n_rows, 40 - 32);
}

TEST_F(ModelDrafting, ATokenThatTheModelDoesNotHaveEndsTheDraftingForItsText) {
  auto tokens = a_text(20);
  rows_for(1, tokens, 1);
  tokens.push_back(fake_vocabulary);
  EXPECT_EQ(rows_for(1, tokens, 3), (std::pair{0, text{}}));
  tokens.push_back(1);
  EXPECT_EQ(rows_for(1, tokens, 3), (std::pair{0, text{}}));
  EXPECT_EQ(drafter.occupancy().n_owned + drafter.occupancy().n_pinned, 0);
}
