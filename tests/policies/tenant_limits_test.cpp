#include "policies/tenant_limits.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace souffleur {
namespace {

tenant_limits any_limits() {
  tenant_limits limits;
  limits.requests_per_minute = *rc::gen::element(0.0, 0.5, 3.0, 60.0);
  limits.tokens_per_minute = *rc::gen::element(0.0, 10.0, 1000.0);
  limits.tokens_per_day = *rc::gen::element(0.0, 50.0, 5000.0);
  return limits;
}

/// What was asked and served, in order.
struct event {
  double at_s = 0;
  bool is_request = true;
  double n_tokens = 0;
};

/// Simulated afresh from the beginning, second by second of what matters: the largest excess of any interval.
double overdraft(const std::vector<event>& events, bool of_requests, double per_minute, double burst) {
  double used = 0;
  double at_s = 0;
  double worst = 0;
  for (const auto& one : events) {
    used = std::max(0.0, used - (one.at_s - at_s) / 60 * per_minute);
    at_s = one.at_s;
    if (of_requests == one.is_request)
      used += of_requests ? 1 : one.n_tokens;
    worst = std::max(worst, used - burst);
  }
  return worst;
}

RC_GTEST_PROP(TenantLimits, NobodyGetsMoreThanTheLimitsAndWhoWaitsAsLongAsToldIsAdmitted, ()) {
  const auto limits = any_limits();
  limit_ledger ledger;
  std::vector<event> admitted;
  double now_s = 1e6;
  double day_began_s = 0;
  double day_tokens = 0;
  double largest = 0;
  const int n_steps = *rc::gen::inRange(1, 80);
  for (int i = 0; i < n_steps; ++i) {
    now_s += *rc::gen::element(0.0, 0.1, 1.0, 30.0, 90.0, 40'000.0);
    if (now_s - day_began_s >= 86'400)
      day_tokens = 0;
    const auto verdict = ledger.admit("a", limits, now_s);
    if (verdict.by != limited::nothing) {
      RC_ASSERT(verdict.wait_s > 0);
      limit_ledger earlier = ledger;
      RC_ASSERT(earlier.admit("a", limits, now_s + verdict.wait_s * 0.99 - 1e-3).by != limited::nothing);
      limit_ledger later = ledger;
      RC_ASSERT(later.admit("a", limits, now_s + verdict.wait_s + 1e-3).by == limited::nothing);
      if (verdict.by == limited::tokens_per_day)
        RC_ASSERT(day_tokens >= limits.tokens_per_day);
      continue;
    }
    RC_ASSERT(((limits.tokens_per_day <= 0) || day_tokens < limits.tokens_per_day));
    admitted.push_back({now_s, true, 0});
    const double n_tokens = *rc::gen::inRange(0, 40);
    largest = std::max(largest, n_tokens);
    if (day_tokens <= 0)
      day_began_s = now_s;
    day_tokens += n_tokens;
    ledger.charge("a", limits, n_tokens, now_s);
    admitted.push_back({now_s, false, n_tokens});
  }
  if (const double limit = limits.requests_per_minute; limit > 0)
    RC_ASSERT(overdraft(admitted, true, limit, std::max(1.0, limit)) <= 1e-6);
  if (const double limit = limits.tokens_per_minute; limit > 0)
    RC_ASSERT(overdraft(admitted, false, limit, limit - 1) <= largest + 1e-6);
}

RC_GTEST_PROP(TenantLimits, WhoStaysWithinThemIsNeverRefused, ()) {
  const double per_minute = *rc::gen::element(0.5, 3.0, 60.0);
  const double n_tokens = *rc::gen::inRange(1, 40);
  const tenant_limits limits{per_minute, per_minute * n_tokens + 1, 0};
  limit_ledger ledger;
  double now_s = 0;
  const int n = *rc::gen::inRange(1, 100);
  for (int i = 0; i < n; ++i) {
    RC_ASSERT(ledger.admit("a", limits, now_s).by == limited::nothing);
    ledger.charge("a", limits, n_tokens, now_s);
    now_s += 60 / per_minute + 1e-6 + *rc::gen::element(0.0, 1.0);
  }
}

RC_GTEST_PROP(TenantLimits, ATenantIsNotToldByWhatOthersDo, ()) {
  const auto limits = any_limits();
  limit_ledger together;
  std::map<std::string, limit_ledger> alone;
  double now_s = 0;
  const int n = *rc::gen::inRange(1, 60);
  for (int i = 0; i < n; ++i) {
    now_s += *rc::gen::element(0.0, 1.0, 50.0);
    const std::string who = *rc::gen::element<std::string>("a", "b", "c");
    const auto verdict = together.admit(who, limits, now_s);
    const auto same = alone[who].admit(who, limits, now_s);
    RC_ASSERT(verdict.by == same.by);
    RC_ASSERT(std::abs(verdict.wait_s - same.wait_s) < 1e-6);
    if (verdict.by == limited::nothing) {
      const double n_tokens = *rc::gen::inRange(0, 30);
      together.charge(who, limits, n_tokens, now_s);
      alone[who].charge(who, limits, n_tokens, now_s);
    }
  }
}

TEST(TenantLimits, TellWhatIsLeft) {
  limit_ledger ledger;
  const tenant_limits limits{60, 600, 0};
  EXPECT_FALSE(ledger.requests("a", {}, 0));
  EXPECT_EQ(ledger.requests("a", limits, 0)->left, 60);
  ledger.admit("a", limits, 0);
  ledger.charge("a", limits, 100, 0);
  EXPECT_EQ(ledger.requests("a", limits, 0)->left, 59);
  EXPECT_EQ(ledger.tokens("a", limits, 0)->left, 500);
  EXPECT_NEAR(ledger.tokens("a", limits, 0)->full_after_s, 10, 1e-9);
  EXPECT_NEAR(ledger.tokens("a", limits, 5)->left, 550, 1e-9);
  EXPECT_EQ(ledger.requests("a", limits, 5)->left, 60);
}

TEST(TenantLimits, ThoseWhoStandWhereANewcomerWouldAreForgotten) {
  limit_ledger ledger;
  const tenant_limits limits{60, 600, 1000};
  ledger.admit("used its day", limits, 0);
  ledger.charge("used its day", limits, 1000, 0);
  for (std::size_t i = 0; i < 3 * limit_ledger::most_remembered; ++i)
    ledger.admit("tenant " + std::to_string(i), limits, static_cast<double>(i));
  EXPECT_LE(ledger.size(), limit_ledger::most_remembered + 1);
  EXPECT_EQ(ledger.admit("used its day", limits, 13'000).by, limited::tokens_per_day);
}

TEST(TenantLimits, AClockThatGoesBackGivesNothing) {
  limit_ledger ledger;
  const tenant_limits limits{1, 0, 0};
  EXPECT_EQ(ledger.admit("a", limits, 1000).by, limited::nothing);
  EXPECT_NEAR(ledger.admit("a", limits, 0).wait_s, 60, 1e-9) << "as if no time had passed";
  EXPECT_EQ(ledger.admit("a", limits, 1030).by, limited::requests_per_minute);
  EXPECT_EQ(ledger.admit("a", limits, 1061).by, limited::nothing);
}

} // namespace
} // namespace souffleur
