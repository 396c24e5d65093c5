#include "policies/cacheability.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;

namespace {

cache_mode any_mode() { return *rc::gen::element(cache_mode::off, cache_mode::exact, cache_mode::semantic); }

template <class T>
std::optional<T> perhaps(T value) {
  return *rc::gen::arbitrary<bool>() ? std::optional{value} : std::nullopt;
}

cache_traits any_traits() {
  cache_traits traits;
  if (*rc::gen::arbitrary<bool>())
    return traits;
  traits.temperature = *rc::gen::element(0.0, 0.0, 0.3, 1.0);
  traits.is_seeded = *rc::gen::arbitrary<bool>();
  traits.n_choices = *rc::gen::element(1, 1, 1, 2);
  traits.wants_logprobs = *rc::gen::element(false, false, true);
  traits.has_tools = *rc::gen::element(false, false, true);
  traits.is_lossy = *rc::gen::element(false, false, true);
  traits.is_text_whole = *rc::gen::element(true, true, false);
  return traits;
}

cache_wish any_wish() {
  cache_wish wish;
  wish.mode = perhaps(any_mode());
  wish.threshold = perhaps(0.8);
  wish.max_error = perhaps(*rc::gen::element(0.0, 0.05));
  wish.ttl_s = perhaps(*rc::gen::element(0.0, 10.0, 1e6));
  wish.refresh = *rc::gen::arbitrary<bool>();
  return wish;
}

cache_limits any_limits() {
  cache_limits limits;
  limits.mode = any_mode();
  limits.max_temperature = *rc::gen::element(0.0, 0.5);
  return limits;
}

} // namespace

// C15. Planted bugs that it caught: max_error of 0 is semantic; the request's mode in place of the
// smaller one.
RC_GTEST_PROP(Cacheability, OnlyWhatComputingAgainWouldRepeatOrWhatWasAskedForIsServed, ()) {
  const auto traits = any_traits();
  const auto wish = any_wish();
  const auto limits = any_limits();
  const auto permit = permit_for(traits, wish, limits);
  const auto mode = std::min(wish.mode.value_or(limits.mode), limits.mode);
  const bool repeatable = traits.temperature == 0 || traits.is_seeded;
  RC_ASSERT(permit.exact ==
            (mode != cache_mode::off && !traits.is_lossy && !traits.wants_logprobs && traits.n_choices == 1 &&
             (repeatable || traits.temperature <= limits.max_temperature)));
  if (permit.semantic) {
    RC_ASSERT(permit.exact && mode == cache_mode::semantic && permit.max_error > 0);
    RC_ASSERT(!traits.has_tools && traits.is_text_whole && traits.temperature <= limits.max_temperature);
  }
  RC_ASSERT(permit.exact == (permit.why == uncached::no));
  RC_ASSERT(!permit.reads || (permit.exact && !wish.refresh));
}

RC_GTEST_PROP(Cacheability, ARequestHasItsOwnNumbersWithinTheServers, ()) {
  const auto wish = any_wish();
  const auto limits = any_limits();
  const auto permit = permit_for(any_traits(), wish, limits);
  RC_ASSERT(permit.threshold == wish.threshold.value_or(limits.threshold));
  RC_ASSERT(permit.max_error == wish.max_error.value_or(limits.max_error));
  RC_ASSERT(permit.ttl_s <= limits.ttl_s && permit.ttl_s <= wish.ttl_s.value_or(limits.ttl_s));
}

// C11. Planted bug that it caught: answers that were cut stored, too.
RC_GTEST_PROP(Cacheability, OnlyWhatCameToItsOwnEndIsStored, ()) {
  const auto permit = permit_for(any_traits(), any_wish(), any_limits());
  const auto end =
      *rc::gen::element(answer_end::stop, answer_end::length, answer_end::deadline, answer_end::cancelled,
                        answer_end::failed, answer_end::filtered, answer_end::tool_call);
  RC_ASSERT(may_store(permit, end) == (permit.exact && permit.ttl_s > 0 && end == answer_end::stop));
}

TEST(Cacheability, ARequestGetsNoMoreThanTheServerHas) {
  cache_limits limits;
  limits.mode = cache_mode::exact;
  cache_wish wish;
  wish.mode = cache_mode::semantic;
  EXPECT_TRUE(permit_for({}, wish, limits).exact);
  EXPECT_FALSE(permit_for({}, wish, limits).semantic);
  limits.mode = cache_mode::semantic;
  EXPECT_TRUE(permit_for({}, {}, limits).semantic);
  wish.mode = cache_mode::exact;
  EXPECT_FALSE(permit_for({}, wish, limits).semantic);
}

TEST(Cacheability, SaysWhy) {
  cache_limits limits;
  EXPECT_EQ(to_string(permit_for({}, {}, limits).why), "by_server");
  limits.mode = cache_mode::semantic;
  EXPECT_EQ(to_string(permit_for({}, {}, limits).why), "no");
  cache_wish wish;
  wish.mode = cache_mode::off;
  EXPECT_EQ(to_string(permit_for({}, wish, limits).why), "by_request");
  cache_traits traits;
  traits.temperature = 1;
  EXPECT_EQ(to_string(permit_for(traits, {}, limits).why), "temperature");
  EXPECT_EQ(cache_mode_named("exact"), cache_mode::exact);
  EXPECT_EQ(cache_mode_named("on"), std::nullopt);
}
