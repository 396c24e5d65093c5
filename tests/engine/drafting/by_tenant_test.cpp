#include "engine/drafting/by_tenant.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace souffleur;

/// Planted bugs that it caught: a use leaves the order as it is; the one used last is dropped.
RC_GTEST_PROP(ByTenant, DropsWhoeverWasUsedLongestAgo, ()) {
  by_tenant<int> things;
  std::vector<std::pair<std::string, int>> expected; // the one used last comes first
  for (int n = *rc::gen::inRange(0, 60); n > 0; --n) {
    const auto tenant = std::to_string(*rc::gen::inRange(0, 6));
    const auto known = std::ranges::find(expected, tenant, &std::pair<std::string, int>::first);
    switch (*rc::gen::inRange(0, 4)) {
    case 0: {
      const auto* thing = things.use(tenant);
      RC_ASSERT((thing != nullptr) == (known != expected.end()));
      if (thing) {
        RC_ASSERT(*thing == known->second);
        std::rotate(expected.begin(), known, known + 1);
      }
      break;
    }
    case 1:
      RC_ASSERT((things.find(tenant) != nullptr) == (known != expected.end()));
      if (known != expected.end())
        RC_ASSERT(*things.find(tenant) == known->second);
      break;
    case 2:
      if (known == expected.end()) {
        expected.insert(expected.begin(), {tenant, n});
        RC_ASSERT(things.add(tenant, n) == n);
      }
      break;
    default:
      if (!expected.empty()) {
        RC_ASSERT(things.used_longest_ago() == expected.back().second);
        things.drop_used_longest_ago();
        expected.pop_back();
      }
    }
    RC_ASSERT(things.size() == expected.size());
  }
}
