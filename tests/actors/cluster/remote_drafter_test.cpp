// A server and its drafter under CAF's testing scheduler: what comes of an order, whatever becomes of either.
#include "tests/actors/cluster/drafter_stage.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace souffleur {
namespace {

using namespace testing;
using namespace std::chrono_literals;

std::shared_ptr<const draft_subject> greedy_subject() {
  auto subject = std::make_shared<draft_subject>();
  auto sampling = std::make_shared<sampling_params>();
  sampling->temperature = 0;
  subject->tenant = "a";
  subject->n_prompt = 3;
  subject->sampling = sampling;
  return subject;
}

/// A sequence as its scheduler has it.
struct text {
  std::vector<token_id> tokens;
  int n_known = 0;
  bool was_asked = false;
};

draft_wish wish_of(sequence_id id, const text& who, int n_max = 4) {
  return {id, who.n_known, {who.tokens.begin() + who.n_known, who.tokens.end()}, n_max, greedy_subject(), {}};
}

/// What a drafter that has seen nothing else says.
std::vector<token_id> draft_after(const std::vector<token_id>& tokens, int n_max = 4) {
  fresh_drafter model;
  draft_offer offer;
  do
    offer = carry_out({{{1, 0, tokens, n_max, greedy_subject(), {}}}, {}}, model);
  while (offer.proposals.front().n_behind > 0);
  return offer.proposals.front().drafts.empty() ? std::vector<token_id>{}
                                                : offer.proposals.front().drafts.front().tokens();
}

std::vector<token_id> drafted(const draft_offer& offer) {
  return offer.proposals.empty() || offer.proposals.front().drafts.empty()
             ? std::vector<token_id>{}
             : offer.proposals.front().drafts.front().tokens();
}

/// Of which the model is sure.
const std::vector<token_id> some_text = [] {
  std::vector<token_id> tokens{1, 2, 3};
  while (draft_after(tokens).size() < 2)
    tokens.push_back((tokens.back() * 7 + 5) % 26);
  return tokens;
}();

/// Joined, and the news of that taken.
drafter_stage::server& joined_server(drafter_stage& play) {
  auto& server = play.start_server();
  play.ask(server, {});
  return server;
}

TEST(RemoteDrafter, ItsDraftsAreThoseOfTheModelHere) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  const auto got = play.ask(server, {{wish_of(1, {some_text})}, {}});
  ASSERT_TRUE(got->has_value());
  EXPECT_EQ(drafted(**got), draft_after(some_text));
  EXPECT_EQ((*got)->proposals.front().n_known, static_cast<int>(some_text.size()));
  EXPECT_EQ((*got)->pass.n_rows, 1);
}

TEST(RemoteDrafter, ANewOneSaysFirstWhatItTakesAndNobodyWaitsForThat) {
  drafter_stage play;
  play.start_drafter();
  play.desk->is_slow = true;
  auto& server = play.start_server();
  EXPECT_TRUE(server.has_drafter());
  const auto first = play.ask(server, {{wish_of(1, {some_text})}, {}});
  ASSERT_TRUE(first->has_value());
  ASSERT_EQ((*first)->known_passes.size(), 2U);
  EXPECT_EQ((*first)->known_passes[1].us, 90);
  EXPECT_TRUE((*first)->proposals.empty());
  EXPECT_EQ(server.n_orders, 0U);
  const auto second = play.ask(server, {{wish_of(1, {some_text})}, {}});
  EXPECT_FALSE(second->has_value());
  play.desk->compute();
  play.run();
  ASSERT_TRUE(second->has_value());
  EXPECT_TRUE((*second)->known_passes.empty());
}

TEST(RemoteDrafter, WithoutOneTheAnswerIsThereAtOnce) {
  drafter_stage play;
  auto& server = play.start_server();
  const auto got = play.ask(server, {{wish_of(1, {some_text})}, {}});
  ASSERT_TRUE(got->has_value());
  EXPECT_TRUE((*got)->proposals.empty());
  EXPECT_FALSE(server.has_drafter());
}

TEST(RemoteDrafter, WhileItIsLateNobodyElseWaits) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.desk->is_slow = true;
  const auto late = play.ask(server, {{wish_of(1, {some_text})}, {}});
  EXPECT_FALSE(late->has_value());
  EXPECT_TRUE(play.ask(server, {{wish_of(1, {some_text})}, {}})->has_value());
  EXPECT_EQ(server.n_orders, 1U);
  play.desk->is_slow = false;
  play.desk->compute();
  play.run();
  ASSERT_TRUE(late->has_value());
  EXPECT_EQ(drafted(**late), draft_after(some_text));
}

TEST(RemoteDrafter, OneThatHangsIsGivenUpAndTakenBackWhenItComesToItself) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.desk->is_slow = true;
  const auto late = play.ask(server, {{wish_of(1, {some_text})}, {}});
  play.desk->is_busy = true; // as long as it computes
  play.pass(play.config.dead_after + 1s);
  ASSERT_TRUE(late->has_value()) << "though it gives signs of life";
  EXPECT_FALSE(server.has_drafter());
  play.pass(20s);
  EXPECT_FALSE(server.has_drafter());
  play.desk->compute();
  play.desk->is_busy = play.desk->is_slow = false;
  play.pass(6s);
  EXPECT_TRUE(server.has_drafter());
  play.ask(server, {});
  const auto again = play.ask(server, {{wish_of(1, {some_text})}, {}});
  EXPECT_EQ(drafted(**again), draft_after(some_text));
}

text long_text() {
  text who{some_text};
  while (who.tokens.size() < 150 || draft_after(who.tokens).empty())
    who.tokens.push_back((who.tokens.back() * 7 + 5) % 26);
  return who;
}

TEST(RemoteDrafter, AnAnswerThatAnEarlierProxyAskedForIsNobodys) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.desk->is_slow = true;
  play.ask(server, {{wish_of(1, {some_text})}, {}});
  server.end_proxy();
  server.start_proxy();
  play.ask(server, {});
  auto longer = some_text;
  longer.push_back(5);
  const auto got = play.ask(server, {{wish_of(1, {longer})}, {}});
  play.desk->compute();
  play.run();
  ASSERT_TRUE(got->has_value());
  EXPECT_EQ((*got)->proposals.front().n_known, static_cast<int>(longer.size()));
}

TEST(RemoteDrafter, WhatEndsWhileItIsLateIsToldLater) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  const auto ending = [](sequence_id id) { return draft_ending{id, 0, {}, greedy_subject(), false}; };
  play.ask(server, {{wish_of(1, {some_text}), wish_of(2, {some_text}), wish_of(3, {some_text})}, {}});
  play.desk->is_slow = true;
  play.ask(server, {{wish_of(1, {some_text})}, {}});
  play.ask(server, {{}, {ending(2)}});
  play.ask(server, {{}, {ending(3)}});
  play.desk->is_slow = false;
  play.desk->compute();
  play.run();
  play.ask(server, {{wish_of(1, {some_text})}, {}});
  EXPECT_EQ(play.desk->model->size(), 1U);
}

TEST(RemoteDrafter, ASuccessorIsThoughtToHaveReadNothing) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  const auto who = long_text();
  for (int i = 0; i < 4; ++i)
    play.ask(server, {{wish_of(1, who)}, {}});
  play.desk->is_slow = true;
  EXPECT_FALSE(play.ask(server, {{wish_of(1, who)}, {}})->has_value()) << "it has read all";
  play.end_drafter();
  play.start_drafter();
  play.pass(6s);
  play.ask(server, {});
  play.desk->is_slow = true;
  EXPECT_TRUE(play.ask(server, {{wish_of(1, who)}, {}})->has_value());
}

TEST(RemoteDrafter, WhatOneHasReadIsNotToldAfterItsEnd) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.ask(server, {{wish_of(1, long_text())}, {}});
  play.end_drafter();
  const auto got = play.ask(server, {{wish_of(1, long_text())}, {}});
  EXPECT_TRUE((*got)->proposals.empty());
}

TEST(RemoteDrafter, ADraftThatCameWhileNobodyWaitedIsNotTakenForALaterStep) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  const auto who = long_text();
  for (int i = 0; i < 4; ++i)
    play.ask(server, {{wish_of(1, who)}, {}});
  play.ask(server, {{wish_of(2, who)}, {}}); // it finds the text in its cache, and drafts at once
  play.desk->is_slow = true;
  play.ask(server, {{wish_of(1, who)}, {}});
  const auto got = play.ask(server, {{wish_of(2, who)}, {}});
  play.desk->compute();
  play.run();
  for (const auto& proposal : (*got)->proposals)
    EXPECT_TRUE(proposal.drafts.empty()) << proposal.id;
  ASSERT_EQ((*got)->proposals.size(), 1U);
  EXPECT_GT((*got)->proposals.front().n_behind, 0) << "nobody has asked in vain";
}

TEST(RemoteDrafter, WhatItHasToReadItReadsBesideTheSteps) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  auto who = long_text();
  play.desk->is_slow = true;
  const auto take = [&](const drafter_stage::answer& got) {
    for (const auto& proposal : (*got)->proposals) {
      EXPECT_TRUE(proposal.drafts.empty());
      who.n_known = proposal.n_known;
    }
  };
  for (int i = 0; i < 2; ++i) { // of 150 tokens, 64 a call
    const auto got = play.ask(server, {{wish_of(1, who)}, {}});
    ASSERT_TRUE(got->has_value()) << i;
    take(got);
    play.desk->compute();
    play.run();
  }
  EXPECT_EQ(who.n_known, static_cast<int>(who.tokens.size())) << "so far as it was told";
  const auto last = play.ask(server, {{wish_of(1, who)}, {}});
  EXPECT_FALSE(last->has_value()) << "it drafts now, and that is waited for";
  play.desk->compute();
  play.run();
  ASSERT_TRUE(last->has_value());
  EXPECT_EQ((*last)->proposals.front().n_behind, 0);
  EXPECT_EQ(drafted(**last), draft_after(who.tokens));
}

TEST(RemoteDrafter, WhenItDiesTheAnswerComesAtOnceAndItsSuccessorIsToldTheTextAgain) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  text who{some_text};
  who.n_known = (*play.ask(server, {{wish_of(1, who)}, {}}))->proposals.front().n_known;
  play.desk->is_slow = true;
  const auto lost = play.ask(server, {{wish_of(1, who)}, {}});
  play.end_drafter();
  ASSERT_TRUE(lost->has_value());
  EXPECT_FALSE(server.has_drafter());
  EXPECT_TRUE(play.ask(server, {{wish_of(1, who)}, {}})->has_value());
  play.pass(1min);
  const int n_calls = play.n_calls;
  play.pass(1min);
  EXPECT_LE(play.n_calls - n_calls, 13) << "it is called with longer and longer pauses";
  play.start_drafter();
  play.pass(6s);
  ASSERT_TRUE(server.has_drafter());
  play.ask(server, {});
  who.n_known = (*play.ask(server, {{wish_of(1, who)}, {}}))->proposals.front().n_known;
  EXPECT_EQ(who.n_known, 0);
  EXPECT_EQ(drafted(**play.ask(server, {{wish_of(1, who)}, {}})), draft_after(some_text));
}

TEST(RemoteDrafter, ALineThatIsSilentIsTakenForDeadAndUsedAgainWhenItIsNot) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.cut(true);
  const auto lost = play.ask(server, {{wish_of(1, {some_text})}, {}});
  EXPECT_FALSE(lost->has_value());
  play.pass(play.config.dead_after + 1s);
  ASSERT_TRUE(lost->has_value());
  EXPECT_FALSE(server.has_drafter());
  play.cut(false);
  play.pass(6s);
  EXPECT_TRUE(server.has_drafter());
  play.cut(true);
  play.pass(play.config.dead_after + 1s);
  EXPECT_FALSE(server.has_drafter()) << "though nothing was asked";
}

TEST(RemoteDrafter, OneThatDoesNotKnowTheSecretIsNoDrafterAndAServerThatDoesNotIsNone) {
  drafter_stage play;
  play.start_drafter();
  auto& stranger = play.start_server("another");
  play.pass(10s);
  EXPECT_FALSE(stranger.has_drafter());
  EXPECT_EQ(play.desk->n_opened, 0);
  EXPECT_NE(stranger.caller().drafter.last_complaint().find("(or this server does not)"), std::string::npos);
  EXPECT_EQ(play.answer_to_proof("anything"), "it does not know the cluster's secret");
  EXPECT_EQ(play.desk->n_opened, 0);
  auto& server = play.start_server();
  EXPECT_TRUE(server.has_drafter());
}

TEST(RemoteDrafter, WordsFromNobodyAreIgnored) {
  drafter_stage play;
  play.start_drafter();
  play.whisper(drafter_hello{});
  play.whisper(drafter_proof{});
  play.whisper(draft_order{});
  play.whisper(drafter_beat{});
  EXPECT_EQ(play.desk->n_opened, 0);
  EXPECT_TRUE(play.start_server().has_drafter());
}

TEST(RemoteDrafter, AnotherVocabularyIsRefused) {
  drafter_stage play;
  play.start_drafter(std::make_shared<other_tokenizer>());
  auto& server = play.start_server();
  play.pass(10s);
  EXPECT_FALSE(server.has_drafter());
  EXPECT_EQ(play.desk->n_opened, 0);
  EXPECT_NE(server.caller().drafter.last_complaint().find("another vocabulary"), std::string::npos);
  play.end_drafter();
  play.start_drafter();
  play.pass(6s);
  EXPECT_TRUE(server.has_drafter());
}

TEST(RemoteDrafter, ALongerVocabularyThatBeginsAlikeIsSharedInPart) {
  drafter_stage play;
  play.start_drafter(std::make_shared<longer_tokenizer>());
  EXPECT_TRUE(play.start_server().has_drafter());
  EXPECT_EQ(play.desk->n_shared, fake_vocabulary);
}

TEST(RemoteDrafter, DraftsForOneServerAtATime) {
  drafter_stage play;
  play.start_drafter();
  auto& first = joined_server(play);
  auto& second = play.start_server();
  play.pass(10s);
  EXPECT_TRUE(first.has_drafter());
  EXPECT_FALSE(second.has_drafter());
  EXPECT_NE(second.caller().drafter.last_complaint().find("another server"), std::string::npos);
  play.servers.front()->end();
  play.servers.pop_front();
  play.pass(play.config.dead_after + 7s);
  EXPECT_TRUE(second.has_drafter());
}

TEST(RemoteDrafter, AModelThatFailsIsBegunAgain) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.desk->is_broken = true;
  EXPECT_TRUE(play.ask(server, {{wish_of(1, {some_text})}, {}})->has_value());
  EXPECT_FALSE(server.has_drafter());
  play.desk->is_broken = false;
  play.pass(6s);
  EXPECT_TRUE(server.has_drafter());
  EXPECT_EQ(play.desk->n_opened, 2);
}

TEST(RemoteDrafter, WhatFailedForTheServerBeforeIsNotThisOnesFailure) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.desk->is_slow = true;
  play.ask(server, {{wish_of(1, {some_text})}, {}});
  play.pass(20s);
  ASSERT_EQ(play.desk->n_opened, 2);
  play.desk->is_broken = true;
  play.desk->compute();
  play.run();
  EXPECT_TRUE(server.has_drafter());
}

TEST(RemoteDrafter, ASuccessorOfTheProxyDoesNotLeaveSequencesBehind) {
  drafter_stage play;
  play.start_drafter();
  auto& server = joined_server(play);
  play.ask(server, {{wish_of(1, {some_text}), wish_of(2, {some_text})}, {}});
  EXPECT_EQ(play.desk->model->size(), 2U);
  server.end_proxy();
  server.start_proxy();
  play.ask(server, {});
  play.ask(server, {{wish_of(3, {some_text})}, {}});
  EXPECT_EQ(play.desk->model->size(), 1U);
}

/// A server whose sequences grow and end while its drafter is late, dies and comes back.
//
// Planted bugs that it caught: no end to waiting for an order; a successor of the proxy is not told who is
// there.
RC_GTEST_PROP(RemoteDrafter, WhateverHappensADraftIsTheModelsAndEveryAnswerComes, ()) {
  drafter_stage play;
  bool is_running = true;
  bool is_cut = false;
  play.start_drafter();
  auto& server = joined_server(play);
  std::map<sequence_id, text> texts;
  std::vector<sequence_id> ended;
  sequence_id n_ids = 0;
  struct question {
    drafter_stage::answer answer;
    std::map<sequence_id, std::vector<token_id>> asked; ///< the whole texts
  };
  std::optional<question> open;

  const auto take_answer = [&] {
    if (!open || !open->answer->has_value())
      return;
    for (const auto& proposal : (*open->answer)->proposals) {
      if (!proposal.drafts.empty())
        RC_ASSERT(proposal.drafts.front().tokens() == draft_after(open->asked.at(proposal.id)));
      if (const auto found = texts.find(proposal.id); found != texts.end()) {
        RC_ASSERT(proposal.n_known <= static_cast<int>(found->second.tokens.size()));
        found->second.n_known = proposal.n_known;
      }
    }
    open.reset();
  };
  const auto ask = [&](bool all) {
    if (open)
      return;
    draft_demand demand;
    question one;
    for (const auto id : std::exchange(ended, {}))
      demand.ended.push_back({id, 0, {}, greedy_subject(), false});
    for (auto& [id, who] : texts)
      if (all || *rc::gen::arbitrary<bool>()) {
        demand.wishes.push_back(wish_of(id, who));
        one.asked[id] = who.tokens;
        who.was_asked = true;
      }
    one.answer = play.ask(server, std::move(demand));
    open = std::move(one);
    take_answer();
  };
  const auto grow = [&](text& who, int n_most = 5) {
    for (int i = *rc::gen::inRange(1, n_most); i > 0; --i)
      who.tokens.push_back(*rc::gen::inRange(0, 26));
  };

  const int n_actions = *rc::gen::inRange(5, 40);
  for (int i = 0; i < n_actions; ++i) {
    switch (*rc::gen::inRange(0, 14)) {
    case 0:
    case 1:
      if (texts.size() < 4)
        grow(texts[++n_ids], *rc::gen::element(5, 100));
      break;
    case 2:
    case 3:
    case 4:
      ask(false);
      break;
    case 5:
    case 6:
      for (auto& [id, who] : texts)
        grow(who);
      break;
    case 7:
      if (!texts.empty()) {
        if (texts.begin()->second.was_asked)
          ended.push_back(texts.begin()->first);
        texts.erase(texts.begin());
      }
      break;
    case 8:
      play.desk->is_slow = !play.desk->is_slow;
      if (!play.desk->is_slow)
        play.desk->compute();
      break;
    case 9:
      if (std::exchange(is_running, !is_running))
        play.end_drafter();
      else
        play.start_drafter();
      break;
    case 10:
      play.cut(is_cut = !is_cut);
      break;
    case 11:
      server.end_proxy();
      server.start_proxy();
      open.reset(); // as the scheduler does
      for (auto& [id, who] : texts)
        who.n_known = 0;
      break;
    default:
      play.pass(std::chrono::milliseconds{100 * *rc::gen::inRange(1, 70)});
    }
    play.run();
    take_answer();
  }

  // Nobody waits for long.
  play.pass(play.config.dead_after + 1s);
  take_answer();
  RC_ASSERT(!open);
  // And in the end all is well again.
  play.desk->is_slow = false;
  play.desk->compute();
  play.cut(false);
  if (!is_running)
    play.start_drafter();
  play.pass(play.config.dead_after + 7s);
  RC_ASSERT(server.has_drafter());
  for (int i = 0; i < 12; ++i) { // the longest texts are read in eight
    ask(true);
    RC_ASSERT(!open);
  }
  const auto last = play.ask(server, [&] {
    draft_demand demand;
    for (const auto& [id, who] : texts)
      demand.wishes.push_back(wish_of(id, who));
    return demand;
  }());
  RC_ASSERT(last->has_value());
  RC_ASSERT((*last)->proposals.size() == texts.size());
  for (const auto& proposal : (*last)->proposals)
    RC_ASSERT((proposal.drafts.empty() ? std::vector<token_id>{} : proposal.drafts.front().tokens()) ==
              draft_after(texts.at(proposal.id).tokens));
  RC_ASSERT(play.desk->model->size() == texts.size());
}

} // namespace
} // namespace souffleur
