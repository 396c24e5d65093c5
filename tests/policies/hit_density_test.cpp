#include "policies/hit_density.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>
#include <vector>

using namespace souffleur;

namespace {

std::uint64_t any_age() { return *rc::gen::inRange<std::uint64_t>(0, 3000); }

struct life {
  int which = 0;
  std::uint64_t age = 0;
  bool used = false;
};

void note(hit_density& to, const life& one, double n_pages) {
  one.used ? to.used(one.which, one.age, n_pages) : to.unused(one.which, one.age, n_pages);
}

std::vector<life> any_lives() {
  auto made = std::vector<life>{};
  for (const auto& [which, age, used] :
       *rc::gen::container<std::vector<std::tuple<int, std::uint64_t, bool>>>(rc::gen::tuple(
           rc::gen::inRange(0, 2), rc::gen::inRange<std::uint64_t>(0, 3000), rc::gen::arbitrary<bool>()))) {
    made.push_back({which, age, used});
  }
  return made;
}

} // namespace

// Planted: a chance of a use that rises with age.
RC_GTEST_PROP(HitDensity, FallsWithAgeAloneBeforeAnythingIsNoted, ()) {
  const auto density = hit_density(3);
  const auto age = any_age();
  const auto older = age + any_age();
  RC_ASSERT(density.at(0, age) == density.at(2, age));
  RC_ASSERT(density.at(0, age) >= density.at(1, older));
  RC_ASSERT(density.at(0, 4 * age + 4) < density.at(0, age));
}

// Planted: what all have shown mixed in with the weight of one class; classes mixed up.
RC_GTEST_PROP(HitDensity, DoesNotTellClassesApartThatShowedTheSame, ()) {
  auto density = hit_density(2);
  for (const auto& one : any_lives()) {
    note(density, {0, one.age, one.used}, 2);
    note(density, {1, one.age, one.used}, 2);
  }
  density.learn(5);
  const auto age = any_age();
  RC_ASSERT(density.at(0, age) == density.at(1, age));
}

// Planted: uses that count as time only; an index over all ages instead of those to come.
RC_GTEST_PROP(HitDensity, IsHigherForWhatWasUsedThanForWhatWasNot, ()) {
  auto density = hit_density(2);
  const auto lives = any_lives();
  RC_PRE(!lives.empty());
  auto oldest = std::uint64_t{0};
  for (const auto& one : lives) {
    density.used(0, one.age, 1);
    density.unused(1, one.age, 1);
    oldest = std::max(oldest, one.age);
  }
  density.learn(static_cast<double>(lives.size()));
  const auto age = *rc::gen::inRange<std::uint64_t>(0, oldest + 1);
  RC_ASSERT(density.at(0, age) >= density.at(1, age)); // the moment that pays best may come before any use
  RC_ASSERT(density.at(0, oldest) > density.at(1, oldest));
}

// The time to the use is geometric, so its chance is the same at every age. Planted: time counted to the end
// of an age's bucket only, or from the start of life instead of from the age asked for.
RC_GTEST_PROP(HitDensity, FindsTheChanceOfAUse, ()) {
  const auto chance = *rc::gen::element(0.2, 0.05, 0.01, 0.002);
  auto random = std::mt19937(*rc::gen::arbitrary<unsigned>());
  auto density = hit_density(2);
  for (auto i = 0; i < 20'000; ++i) {
    const auto u = (static_cast<double>(random()) + 0.5) / 4294967296.0;
    density.used(0, static_cast<std::uint64_t>(std::log(u) / std::log1p(-chance)), 1);
  }
  density.learn(20'000);
  for (auto age = 2.0; age < 1 / chance; age *= 2) {
    const auto found = density.at(0, static_cast<std::uint64_t>(age));
    RC_ASSERT(found > 0.75 * chance && found < 2 * chance);
  }
}

// Planted: pages counted, not lookups.
TEST(HitDensity, BelievesManyPagesOfOneLookupHardlyMoreThanOne) {
  const auto told_by = [](double n_lookups) {
    auto density = hit_density(2);
    density.used(0, 10, 1000);
    density.unused(1, 10, 1000);
    density.learn(n_lookups);
    return density.at(0, 10) / density.at(1, 10);
  };
  EXPECT_LT(told_by(1), 1.3);
  EXPECT_GT(told_by(200), 5);
}

// Planted: fading that forgets how many lookups told it.
RC_GTEST_PROP(HitDensity, BelievesTheNewAfterFading, ()) {
  auto density = hit_density(1);
  const auto age = any_age();
  density.used(0, age, 50'000);
  density.learn(100);
  const auto before = density.at(0, age);
  density.fade();
  density.learn(0);
  RC_ASSERT(std::abs(density.at(0, age) / before - 1) < 0.05);
  for (auto i = 0; i < 8; ++i) {
    density.fade();
  }
  density.unused(0, age, 50'000);
  density.learn(100);
  RC_ASSERT(density.at(0, age) < before / 10);
}
