#include "examples/load/workload.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

using namespace souffleur;
using namespace souffleur::load;

namespace {

std::unique_ptr<workload> made(const std::string& name, workload_options options = {}) {
  auto found = make_workload(name, options);
  EXPECT_TRUE(found) << found.error();
  return std::move(*found);
}

std::string any_name() {
  return *rc::gen::map(rc::gen::elementOf(workload_names()),
                       [](const auto& each) { return std::string{each.name}; });
}

std::string flat(const dialogue& what) {
  std::string text = what.system;
  for (const auto& turn : what.turns)
    text += "|" + std::to_string(turn.after) + ":" + turn.user + "@" + std::to_string(turn.think_s);
  return text;
}

constexpr std::uint64_t in_load(std::uint64_t n) { return n << 32; }

} // namespace

namespace souffleur::load {
std::ostream& operator<<(std::ostream& out, const workload_name& each) { return out << each.name; }
} // namespace souffleur::load

RC_GTEST_PROP(Workload, ADialogueDependsOnItsNumberAndTheSeedAlone, ()) {
  const auto name = any_name();
  workload_options options;
  options.seed = *rc::gen::inRange<std::uint64_t>(0, 1000);
  options.unique = *rc::gen::arbitrary<bool>();
  const auto i = *rc::gen::inRange<std::uint64_t>(0, 1000) + in_load(*rc::gen::inRange<std::uint64_t>(0, 3));
  const auto one = made(name, options);
  const auto text = flat(one->at(i));
  one->at(i + 1);
  RC_ASSERT(flat(one->at(i)) == text);
  RC_ASSERT(flat(made(name, options)->at(i)) == text);
}

RC_GTEST_PROP(Workload, TurnsFollowEarlierOnesAndSaySomething, ()) {
  const auto what = made(any_name())->at(*rc::gen::inRange<std::uint64_t>(0, 10'000));
  RC_ASSERT(!what.turns.empty());
  RC_ASSERT(what.turns.front().after == -1);
  for (int i = 0; i < static_cast<int>(what.turns.size()); ++i) {
    RC_ASSERT(what.turns[static_cast<std::size_t>(i)].after < i);
    RC_ASSERT(!what.turns[static_cast<std::size_t>(i)].user.empty());
    RC_ASSERT(what.turns[static_cast<std::size_t>(i)].user.find("{}") == std::string::npos);
  }
}

RC_GTEST_PROP(Workload, NoTwoUniqueDialoguesBeginAlike, ()) {
  workload_options options;
  options.unique = true;
  const auto what = made(any_name(), options);
  std::set<std::string> beginnings;
  for (std::uint64_t i = 0; i < 50; ++i) {
    const auto one = what->at(i);
    beginnings.insert((one.system.empty() ? one.turns.front().user : one.system).substr(0, 34));
  }
  RC_ASSERT(beginnings.size() == 50U);
}

TEST(Workload, ALoadSharesItsSystemPromptsAndTheNextHasOthers) {
  workload_options options;
  options.n_shared = 3;
  const auto what = made("shared_prefix", options);
  std::set<std::string> first;
  std::set<std::string> second;
  for (std::uint64_t i = 0; i < 60; ++i) {
    first.insert(what->at(i).system);
    second.insert(what->at(in_load(1) + i).system);
  }
  EXPECT_EQ(first.size(), 3U);
  EXPECT_EQ(second.size(), 3U);
  second.merge(first);
  EXPECT_EQ(second.size(), 6U);
}

TEST(Workload, AnAgentTreeForksAfterItsPlan) {
  const auto what = made("agent_tree")->at(0);
  std::vector<int> after;
  for (const auto& turn : what.turns)
    after.push_back(turn.after);
  EXPECT_EQ(after, (std::vector<int>{-1, 0, 0, 0, 1, 2, 3}));
}

TEST(Workload, AConversationHasItsTurnsAndPauses) {
  workload_options options;
  options.n_turns = 3;
  options.think_s = 2;
  const auto what = made("multi_turn", options);
  double pauses = 0;
  for (std::uint64_t i = 0; i < 500; ++i) {
    const auto one = what->at(i);
    ASSERT_EQ(one.turns.size(), 3U);
    EXPECT_EQ(one.turns.front().think_s, 0);
    pauses += one.turns[1].think_s + one.turns[2].think_s;
  }
  EXPECT_NEAR(pauses / 1000, 2, 0.2);
}

TEST(Workload, RepeatedQuestionsComeInFewMeaningsAndSomeWordings) {
  workload_options options;
  options.n_shared = 5;
  const auto what = made("repeated", options);
  std::map<std::string, int> counts;
  for (std::uint64_t i = 0; i < 200; ++i)
    ++counts[what->at(i).turns.front().user];
  EXPECT_GT(counts.size(), 8U);
  EXPECT_LE(counts.size(), 20U);
}

TEST(Workload, TrapsAreDifferentQuestionsThatLookAlike) {
  const auto what = made("traps");
  std::set<std::string> all;
  for (std::uint64_t i = 0; i < 200; i += 2) {
    const auto one = what->at(i).turns.front().user;
    const auto other = what->at(i + 1).turns.front().user;
    EXPECT_NE(one, other);
    all.insert(one);
    all.insert(other);
  }
  EXPECT_EQ(all.size(), 200U) << "no question comes twice";
}

TEST(Workload, PromptsOfAFileComeOnceEachBeforeOneComesAgain) {
  const souffleur::testing::scratch_folder folder;
  workload_options options;
  options.prompts = folder.path() / "prompts.jsonl";
  std::ofstream file{options.prompts};
  for (int i = 0; i < 7; ++i)
    file << R"({"category": "x", "turns": [")" << i << R"(", "and then?"]})"
         << "\n";
  file.close();
  const auto what = made("chat", options);
  std::set<std::string> round;
  for (std::uint64_t i = 0; i < 7; ++i) {
    const auto one = what->at(i);
    ASSERT_EQ(one.turns.size(), 2U);
    EXPECT_EQ(one.turns[1].after, 0);
    round.insert(one.turns[0].user);
  }
  EXPECT_EQ(round.size(), 7U);
}

TEST(Workload, WhatCannotBeUsedIsNamed) {
  EXPECT_NE(make_workload("chess", {}).error().find("multi_turn"), std::string::npos);
  const souffleur::testing::scratch_folder folder;
  workload_options options;
  options.prompts = folder.path() / "prompts.jsonl";
  std::ofstream{options.prompts} << "{\"turns\": [\"a\"]}\n{\"turns\": []}\n";
  EXPECT_NE(make_workload("chat", options).error().find("line 2"), std::string::npos);
}
