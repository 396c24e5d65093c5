#include "engine/cache/labelled_traffic.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <set>
#include <sstream>

using namespace souffleur;

namespace {

/// Questions on a circle, in `n_dimensions` = 2: neighbours on it are alike.
struct small_world {
  labelled_pairs all;
  question_vectors vectors;
};

small_world any_world() {
  small_world made;
  const auto n = *rc::gen::inRange<std::uint32_t>(2, 12);
  made.vectors.n_dimensions = 2;
  for (std::uint32_t i = 0; i < n; ++i) {
    made.all.questions.push_back("What is thing number " + std::to_string(*rc::gen::inRange(1, 4)) +
                                 " of all?");
    const double angle = *rc::gen::inRange(0, 60) / 60.0;
    made.vectors.rows.push_back(static_cast<float>(std::cos(angle)));
    made.vectors.rows.push_back(static_cast<float>(std::sin(angle)));
  }
  const auto n_pairs = *rc::gen::inRange(1, 15);
  for (int i = 0; i < n_pairs; ++i)
    made.all.pairs.push_back({*rc::gen::inRange<std::uint32_t>(0, n), *rc::gen::inRange<std::uint32_t>(0, n),
                              *rc::gen::arbitrary<bool>()});
  return made;
}

traffic any_traffic() { return *rc::gen::element(traffic::pairs, traffic::stream); }

} // namespace

RC_GTEST_PROP(LabelledTraffic, HalvesShareNoQuestion, ()) {
  const auto world = any_world();
  const auto [first, second] = halves_of(world.all, *rc::gen::arbitrary<std::uint64_t>());
  RC_ASSERT(first.size() + second.size() == world.all.pairs.size());
  std::set<std::uint32_t> questions;
  for (const auto& pair : first)
    questions.insert({pair.a, pair.b});
  for (const auto& pair : second)
    RC_ASSERT(!questions.contains(pair.a) && !questions.contains(pair.b));
}

// C3, C6.
RC_GTEST_PROP(LabelledTraffic, ARequestFindsTheNearestOfWhatCameBefore, ()) {
  const auto world = any_world();
  std::vector<std::uint32_t> before;
  for (const auto& request : requests_of(traffic::stream, world.all, world.all.pairs, world.vectors)) {
    double best = -1;
    for (const auto other : before)
      best = std::max(best, world.vectors.cosine(request.question, other));
    RC_ASSERT(request.nearest.empty() == before.empty());
    if (!before.empty())
      RC_ASSERT(request.nearest.front().similarity == best);
    for (std::size_t i = 0; i < request.nearest.size(); ++i) {
      const auto& one = request.nearest[i];
      RC_ASSERT(std::find(before.begin(), before.end(), one.question) != before.end());
      RC_ASSERT((i == 0 || one.similarity <= request.nearest[i - 1].similarity));
      RC_ASSERT((one.refused_by == guard::none) ==
                compare(world.all.questions[request.question], world.all.questions[one.question]).passes());
    }
    before.push_back(request.question);
  }
}

// C4.
RC_GTEST_PROP(LabelledTraffic, WhatIsServedWasStoredAndIsNotStoredAgain, ()) {
  const auto world = any_world();
  const auto kind = any_traffic();
  const auto requests = requests_of(kind, world.all, world.all.pairs, world.vectors);
  const double threshold = *rc::gen::inRange(60, 101) / 100.0;
  const auto outcome = replay(requests, *make_cache_policy("guarded"), {threshold, 0.01}, kind, 1);
  RC_ASSERT(outcome.n_requests == static_cast<int>(requests.size()));
  RC_ASSERT(outcome.n_unlabelled() <= outcome.n_errors());
  std::set<std::uint32_t> served;
  for (const auto& one : outcome.served) {
    RC_ASSERT(one.from.similarity >= threshold && one.from.refused_by == guard::none);
    RC_ASSERT(kind == traffic::pairs || !served.contains(one.from.question));
    served.insert(one.question);
  }
}

TEST(LabelledTraffic, ChainsOfDuplicatesAreDuplicatesUnlessSaidOtherwise) {
  small_world world;
  world.all.questions = {"a", "b", "c", "d"};
  world.all.pairs = {{0, 1, true}, {1, 2, true}, {0, 3, false}};
  world.vectors = {1, {1, 1, 1, 1}};
  const auto requests = requests_of(traffic::stream, world.all, world.all.pairs, world.vectors);
  ASSERT_EQ(requests.size(), 4U);
  for (const auto& one : requests[2].nearest)
    EXPECT_TRUE(one.right && one.labelled);
  for (const auto& one : requests[3].nearest) {
    EXPECT_FALSE(one.right);
    EXPECT_EQ(one.labelled, one.question == 0);
  }
}

TEST(LabelledTraffic, IsReadOrRefusedWithTheLine) {
  std::istringstream good{R"({"a": "x", "b": "y", "duplicate": 1}
{"a": "y", "b": "z", "duplicate": 0})"};
  const auto all = labelled_pairs::read(good);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->questions, (std::vector<std::string>{"x", "y", "z"}));
  EXPECT_EQ(all->pairs.size(), 2U);
  EXPECT_EQ(all->pairs[1].a, 1U);
  for (const std::string bad :
       {"{", "[]", R"({"a": "x", "b": 1, "duplicate": 1})", R"({"a": "x", "b": "y"})"}) {
    std::istringstream lines{R"({"a": "x", "b": "y", "duplicate": 1})" + ("\n" + bad)};
    const auto read = labelled_pairs::read(lines);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().substr(0, 7), "line 2 ");
  }
  std::istringstream bytes{std::string(24, '\0')};
  EXPECT_EQ(question_vectors::read(bytes, 3)->n_dimensions, 2U);
  std::istringstream odd{std::string(25, '\0')};
  EXPECT_FALSE(question_vectors::read(odd, 3).ok());
}
