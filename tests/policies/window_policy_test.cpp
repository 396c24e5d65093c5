#include "policies/window_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace souffleur {
namespace {

TEST(window_policy, HasTheNamesThatTheHeaderLists) {
  for (const auto* name : {"full", "sinks"})
    EXPECT_EQ(make_window_policy(name)->name(), name);
  EXPECT_EQ(make_window_policy("best"), nullptr);
}

TEST(window_policy, FullDropsNothing) {
  const auto full = make_window_policy("full");
  EXPECT_EQ(full->n_dropped({4, 128}, 1'000'000), 0);
  EXPECT_EQ(full->most_kept({4, 128}), 0);
}

// K13, by a model that keeps every position and drops what is too old row by row. Fails if the sinks slide, a
// page is dropped early or late, or a limit that is no whole page is rounded down.
RC_GTEST_PROP(window_policy, SinksKeepTheFirstAndTheLast, ()) {
  const auto policy = make_window_policy("sinks");
  const window_limits limits{*rc::gen::inRange(0, 70), *rc::gen::inRange(1, 300)};
  std::vector<int> kept;
  const int n_sinks = policy->n_sinks(limits);
  RC_ASSERT(n_sinks % page_tokens == 0 && n_sinks >= limits.n_sinks &&
            n_sinks < limits.n_sinks + page_tokens);
  int before = 0;
  for (int position = 0; position < 900; ++position) {
    const int n_dropped = policy->n_dropped(limits, position);
    RC_ASSERT(n_dropped % page_tokens == 0 && n_dropped >= before);
    RC_ASSERT(n_dropped == before || position % page_tokens == 0);
    before = n_dropped;
    kept.push_back(position);
    std::erase_if(kept, [&](int p) { return p >= n_sinks && p < n_sinks + n_dropped; });
    RC_ASSERT(static_cast<int>(kept.size()) == position + 1 - n_dropped);
    RC_ASSERT(static_cast<int>(kept.size()) <= policy->most_kept(limits));
    const int n_after_sinks = position + 1 - n_sinks - n_dropped;
    if (n_dropped > 0)
      RC_ASSERT(n_after_sinks > limits.n_window && n_after_sinks < limits.n_window + 2 * page_tokens);
  }
}

} // namespace
} // namespace souffleur
