#include "policies/crash_suspects.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace souffleur {
namespace {

using ids = std::vector<sequence_id>;

/// Steps over those that are there until `n_steps` have passed; who is in `poisoned` makes its step crash.
struct laboratory {
  crash_suspects suspects{3};
  std::set<sequence_id> there;
  std::set<sequence_id> poisoned;
  std::set<sequence_id> refused;
  int n_crashes = 0;
  int n_explained = 0;

  /// `n_absent` of them have no room in the step, from the `first_absent`th on.
  void step(std::size_t first_absent = 0, std::size_t n_absent = 0) {
    ids wanting{there.begin(), there.end()};
    if (!wanting.empty())
      std::ranges::rotate(wanting,
                          wanting.begin() + static_cast<std::ptrdiff_t>(first_absent % wanting.size()));
    wanting.resize(wanting.size() - std::min(n_absent, wanting.size()));
    const auto tried = suspects.admitted(wanting);
    RC_ASSERT(tried.empty() == wanting.empty());
    for (const auto id : tried)
      RC_ASSERT(std::ranges::count(wanting, id) == 1);
    RC_ASSERT((std::set<sequence_id>{tried.begin(), tried.end()}.size()) == tried.size());
    if (std::ranges::any_of(tried, [&](auto id) { return poisoned.contains(id); })) {
      ++n_crashes;
      for (const auto id : suspects.crashed(tried)) {
        there.erase(id);
        refused.insert(id);
      }
    } else {
      suspects.survived(tried);
    }
    n_explained += suspects.take_explained();
    RC_ASSERT(n_explained <= n_crashes);
  }
};

/// Planted bugs that it or those below caught: both halves tried again together; the second half forgotten;
/// nobody cleared after a step that survived; a crash in company counted as one alone; the unsuspected never
/// tried beside suspects; a suspect that has left still waited for; one that has no room admitted, or waited
/// for by the others; crashes explained twice, or before a step has survived, or by who was cleared since.
RC_GTEST_PROP(CrashSuspects, FindExactlyTheGuiltyWithFewCrashes, ()) {
  const auto n = *rc::gen::inRange(1, 40);
  const auto n_poisoned = *rc::gen::inRange(0, std::min(n, 4) + 1);
  laboratory lab;
  for (int i = 0; i < n; ++i)
    lab.there.insert(static_cast<sequence_id>(i));
  while (static_cast<int>(lab.poisoned.size()) < n_poisoned)
    lab.poisoned.insert(static_cast<sequence_id>(*rc::gen::inRange(0, n)));
  for (int i = 0; i < 400; ++i)
    lab.step();
  RC_ASSERT(lab.refused == lab.poisoned);
  RC_ASSERT(lab.suspects.empty());
  const int n_halvings = static_cast<int>(std::ceil(std::log2(n)));
  RC_ASSERT(lab.n_crashes <= n_poisoned * (n_halvings + 3));
  RC_ASSERT(lab.n_explained == (n_poisoned < n ? lab.n_crashes : 0));
}

/// Others come and go meanwhile; the guilty may leave, too.
RC_GTEST_PROP(CrashSuspects, NobodyIsRefusedInnocentlyNorHeldBackForGood, ()) {
  laboratory lab;
  sequence_id last = 0;
  const auto moves = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 100));
  std::set<sequence_id> served;
  for (const int move : moves) {
    if (move < 30) {
      lab.there.insert(++last);
      if (move < 4)
        lab.poisoned.insert(last);
    } else if (move < 40 && !lab.there.empty()) {
      const auto leaves = *std::next(lab.there.begin(), move % static_cast<int>(lab.there.size()));
      lab.there.erase(leaves);
      lab.suspects.forget(leaves);
    } else {
      lab.step(static_cast<std::size_t>(move), static_cast<std::size_t>(move % 7));
    }
  }
  for (int i = 0; i < 400; ++i)
    lab.step();
  for (const auto id : lab.refused)
    RC_ASSERT(lab.poisoned.contains(id));
  for (const auto id : lab.there)
    RC_ASSERT(!lab.poisoned.contains(id));
  RC_ASSERT(lab.suspects.empty());
}

TEST(CrashSuspects, TheUnsuspectedGoOnWhileItIsSearched) {
  crash_suspects suspects{3};
  suspects.crashed(ids{1, 2, 3, 4});
  const ids all{1, 2, 3, 4, 5, 6};
  int n_clean = 0;
  for (int i = 0; i < 10; ++i)
    n_clean += suspects.admitted(all) == ids{5, 6} ? 1 : 0;
  EXPECT_EQ(n_clean, 5);
}

TEST(CrashSuspects, AModelThatFailsForEverybodyExplainsNothing) {
  crash_suspects suspects{3};
  for (sequence_id id = 1; id < 10; ++id)
    for (int i = 0; i < 3; ++i)
      suspects.crashed(ids{id});
  EXPECT_EQ(suspects.take_explained(), 0);
  suspects.survived(ids{20});
  EXPECT_EQ(suspects.take_explained(), 27);
}

TEST(CrashSuspects, ACrashThatDoesNotComeAgainIsNobodysFault) {
  crash_suspects suspects{3};
  suspects.crashed(ids{1, 2});
  suspects.survived(ids{1});
  suspects.survived(ids{2});
  for (int i = 0; i < 3; ++i)
    suspects.crashed(ids{1});
  suspects.survived(ids{2});
  EXPECT_EQ(suspects.take_explained(), 3);
}

} // namespace
} // namespace souffleur
