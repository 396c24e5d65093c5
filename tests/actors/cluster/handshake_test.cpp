#include "actors/cluster/handshake.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace souffleur {
namespace {

// Planted bugs that it caught: a side, a nonce, the secret left out of the proof; the nonces joined without
// their lengths.
RC_GTEST_PROP(Handshake, AProofIsOfOneSecretOneSideAndOneConversation, ()) {
  const auto text = [] {
    return *rc::gen::container<std::string>(*rc::gen::inRange(0, 3), rc::gen::element('a', 'b'));
  };
  const auto any_side = [] {
    return *rc::gen::element(node_side::router, node_side::worker, node_side::drafter, node_side::server);
  };
  const std::tuple one{text(), any_side(), text(), text()};
  auto other = one;
  switch (*rc::gen::inRange(0, 5)) {
  case 0:
    std::get<0>(other) = text();
    break;
  case 1:
    std::get<1>(other) = any_side();
    break;
  case 2:
    std::get<2>(other) = text();
    break;
  case 3:
    std::get<3>(other) = text();
    break;
  default: // the same letters, divided otherwise
    std::get<3>(other).insert(0, std::get<2>(other));
    std::get<2>(other).clear();
  }
  const auto made = [](const auto& from) { return std::apply(make_proof, from); };
  RC_ASSERT(is_same_proof(made(one), made(other)) == (one == other));
}

RC_GTEST_PROP(Handshake, ProofsAreComparedByAllOfTheirBytes, (const std::string& a, const std::string& b)) {
  RC_ASSERT(is_same_proof(a, b) == (a == b));
  RC_ASSERT(is_same_proof(a, a));
  RC_ASSERT(!is_same_proof(a, a + "x"));
}

TEST(Handshake, NoncesAreNew) {
  std::set<std::string> all;
  for (int i = 0; i < 100; ++i)
    all.insert(make_nonce());
  EXPECT_EQ(all.size(), 100U);
  EXPECT_EQ(all.begin()->size(), 32U);
}

TEST(Handshake, TheSecretIsNotInTheProof) {
  EXPECT_EQ(make_proof("secret", node_side::worker, "a", "b").find("secret"), std::string::npos);
  EXPECT_EQ(make_proof("secret", node_side::worker, "a", "b").size(), 32U);
}

} // namespace
} // namespace souffleur
