#include "engine/drafting/token_ring.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;

// Planted: growth that copies to the places of the smaller ring; one that forgets the oldest token; a ring
// that grows one token too late. (No token is 0, which places hold that were never written.)
RC_GTEST_PROP(TokenRing, KeepsEachTokenAtItsPosition, ()) {
  token_ring ring;
  std::vector<token_id> all;
  std::size_t n_dropped = 0;
  const auto check = [&] {
    RC_ASSERT(ring.begin() == n_dropped && ring.end() == all.size());
    for (auto i = n_dropped; i < all.size(); ++i)
      RC_ASSERT(ring[static_cast<std::uint32_t>(i)] == all[i]);
  };
  const auto commands = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 200), rc::gen::inRange(0, 150)));
  for (const auto& [n_pushed, n_drop] : commands) {
    const auto promised = ring.bytes() + ring.growth_bytes(static_cast<std::size_t>(n_pushed));
    for (auto i = 0; i < n_pushed; ++i) {
      all.push_back(static_cast<token_id>(1 + all.size()));
      ring.push(all.back());
    }
    RC_ASSERT(ring.bytes() == promised);
    check();
    n_dropped = std::min(all.size(), n_dropped + static_cast<std::size_t>(n_drop));
    ring.drop_before(static_cast<std::uint32_t>(n_dropped));
    check();
  }
}
