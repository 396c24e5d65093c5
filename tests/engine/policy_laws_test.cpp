// The laws that others check their policies with: Souffleur's own keep them, and broken ones do not.
#include "tests/laws/policy_laws.hpp"

#include "policies/exact_match.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

using namespace souffleur;
using souffleur::testing::keeps_acceptance_laws;
using souffleur::testing::keeps_eviction_laws;

namespace {

/// Takes the first branch whole, and calls that lossless.
class gullible : public acceptance_policy {
public:
  std::string_view name() const override { return "gullible"; }
  bool lossless() const override { return true; }
  std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const override {
    int row = 0;
    auto law = target(0);
    for (auto children = draft.children(0); !children.empty(); children = draft.children(row)) {
      row = children.front();
      law = target(row);
    }
    return {{row, 1, law}};
  }
};

/// As coupled; forgets one way in which a step can end.
class forgetful : public gullible {
public:
  std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const override {
    auto endings = coupled_match{}.plan(draft, target);
    if (endings.size() > 1)
      endings.pop_back();
    return endings;
  }
};

class by_key : public eviction_policy {
public:
  std::string_view name() const override { return "by_key"; }
  eviction_key key(const cached_node& node) const override {
    return {static_cast<double>(node.last_used), 0};
  }
};

class without_a_number : public by_key {
public:
  eviction_key key(const cached_node& node) const override {
    return {node.hits > 3 ? std::numeric_limits<double>::quiet_NaN() : 1, 0};
  }
};

class moody : public by_key {
public:
  eviction_key key(const cached_node&) const override { return {static_cast<double>(++n_asked_), 0}; }

private:
  mutable int n_asked_ = 0;
};

template <class Policy>
auto factory() {
  return [] { return std::make_unique<Policy>(); };
}

} // namespace

TEST(PolicyLaws, SouffleursOwnPoliciesKeepThem) {
  for (const std::string name : {"coupled", "block", "typical"})
    EXPECT_TRUE(keeps_acceptance_laws([&] { return make_acceptance_policy(name); })) << name;
  for (const std::string name : {"lhd", "gdsf", "lru", "slru"})
    EXPECT_TRUE(keeps_eviction_laws([&] { return make_eviction_policy(name); })) << name;
}

TEST(PolicyLaws, BrokenPoliciesAreFound) {
  EXPECT_FALSE(keeps_acceptance_laws(factory<gullible>()));
  EXPECT_FALSE(keeps_acceptance_laws(factory<forgetful>()));
  EXPECT_FALSE(keeps_eviction_laws(factory<without_a_number>()));
  EXPECT_FALSE(keeps_eviction_laws(factory<moody>()));
  EXPECT_TRUE(keeps_eviction_laws(factory<by_key>()));
}
