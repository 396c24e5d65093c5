#include "engine/kv/page_pool.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace souffleur {
namespace {

// Planted: give_back() without its check (caught by the double return).
RC_GTEST_PROP(PagePool, HandsOutEachPageToOneHolderAtATime, ()) {
  const auto n_pages = *rc::gen::inRange(0, 20);
  auto pool = page_pool(n_pages);
  auto held = std::set<page_id>{};
  for (const auto n : *rc::gen::container<std::vector<int>>(rc::gen::inRange(-4, 6))) {
    auto pages = std::vector<page_id>{};
    if (n >= 0) {
      const auto fits = n <= n_pages - static_cast<int>(held.size());
      RC_ASSERT(pool.take(n, pages) == fits);
      RC_ASSERT(static_cast<int>(pages.size()) == (fits ? n : 0));
      for (const auto page : pages) {
        RC_ASSERT(page >= 0 && page < n_pages && held.insert(page).second);
      }
    } else if (!held.empty()) {
      const auto page = *held.begin();
      held.erase(page);
      RC_ASSERT(pool.give_back(page));
      RC_ASSERT(!pool.give_back(page));
    }
    RC_ASSERT(pool.consistent());
    RC_ASSERT(pool.n_free() == n_pages - static_cast<int>(held.size()));
  }
}

TEST(PagePool, RefusesPagesThatItDoesNotHave) {
  auto pool = page_pool(-3);
  EXPECT_EQ(pool.n_total(), 0);
  EXPECT_FALSE(pool.give_back(0));
  EXPECT_FALSE(pool.give_back(-1));
}

} // namespace
} // namespace souffleur
