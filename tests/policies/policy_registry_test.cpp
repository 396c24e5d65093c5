#include "policies/policy_registry.hpp"

#include "policies/acceptance_policy.hpp"
#include "policies/eviction_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace souffleur;

namespace {

struct numbered {
  int number = 0;
};

policy_factory<numbered> factory_of(int number) {
  return [number] { return std::make_unique<numbered>(numbered{number}); };
}

class newest_first : public eviction_policy {
public:
  std::string_view name() const override { return "newest_first"; }
  eviction_key key(const cached_node& node) const override {
    return {-static_cast<double>(node.last_used), 0};
  }
};

class nothing_stands : public acceptance_policy {
public:
  std::string_view name() const override { return "nothing_stands"; }
  bool lossless() const override { return true; }
  std::vector<ending> plan(const verification_tree&, const target_rows& target) const override {
    return {{0, 1, target(0)}};
  }
};

} // namespace

RC_GTEST_PROP(PolicyRegistry, KnowsWhatWasAddedFirstUnderEachName, ()) {
  policy_registry<numbered> registry;
  std::map<std::string, int> model;
  for (int i = *rc::gen::inRange(0, 20); i > 0; --i) {
    const auto name = *rc::gen::element<std::string>("", "a", "b", "ab", "B");
    if (*rc::gen::arbitrary<bool>())
      RC_ASSERT(registry.add(name, factory_of(i)) == model.emplace(name, i).second);
    const auto made = registry.make(name);
    const auto known = model.find(name);
    RC_ASSERT((made != nullptr) == (known != model.end()));
    RC_ASSERT((made == nullptr || made->number == known->second));
  }
  std::string names;
  for (const auto& [name, number] : model)
    names += ", " + name;
  RC_ASSERT(registry.names() == names);
}

TEST(PolicyRegistry, EachPolicyIsMadeAnew) {
  policy_registry<numbered> registry;
  registry.add("one", factory_of(1));
  EXPECT_NE(registry.make("one").get(), registry.make("one").get());
}

TEST(PolicyRegistry, AFactoryMayAskForOtherPolicies) {
  policy_registry<numbered> registry;
  registry.add("inner", factory_of(7));
  registry.add("outer", [&] { return registry.make("inner"); });
  EXPECT_EQ(registry.make("outer")->number, 7);
}

TEST(PolicyRegistry, OfThreadsThatAddTheSameNameOneDoes) {
  policy_registry<numbered> registry;
  std::atomic<int> n_added{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&, i] {
        for (int name = 0; name < 50; ++name)
          n_added += registry.add(std::to_string(name), factory_of(i)) ? 1 : 0;
      });
  }
  EXPECT_EQ(n_added, 50);
}

TEST(PolicyRegistry, APolicyIsFoundByTheNameUnderWhichItWasRegistered) {
  static int n_runs = 0; // what was registered stays so when the test is repeated
  const auto mine = "mine_" + std::to_string(++n_runs);
  const auto evicting = [] { return std::make_unique<newest_first>(); };
  EXPECT_EQ(make_eviction_policy(mine), nullptr);
  EXPECT_TRUE(register_eviction_policy(mine, evicting));
  EXPECT_EQ(make_eviction_policy(mine)->name(), "newest_first");
  EXPECT_FALSE(register_eviction_policy(mine, evicting)) << "the name is taken";
  EXPECT_FALSE(register_eviction_policy("lru", evicting));
  EXPECT_EQ(make_eviction_policy("lru")->name(), "lru");

  const auto accepting = [] { return std::make_unique<nothing_stands>(); };
  EXPECT_TRUE(register_acceptance_policy(mine, accepting));
  EXPECT_EQ(make_acceptance_policy(mine)->name(), "nothing_stands");
  EXPECT_FALSE(register_acceptance_policy("coupled", accepting));
  EXPECT_EQ(make_acceptance_policy("coupled")->name(), "coupled");
}
