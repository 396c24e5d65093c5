#include "policies/tenant_accounts.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace souffleur;

namespace {

void serve(tenant_accounts& accounts, const std::string& tenant, int n_tokens) {
  accounts.take_turn(tenant);
  accounts.charge(tenant, n_tokens);
}

} // namespace

TEST(TenantAccounts, LiftWhoWasIdleToTheRoundUnderWay) {
  tenant_accounts accounts{100};
  for (int i = 0; i < 10; ++i) {
    serve(accounts, "busy", 50);
  }
  EXPECT_EQ(accounts.of("busy").n_served, 500);
  EXPECT_EQ(accounts.of("idle").n_served, 400);
}

TEST(TenantAccounts, KeepTheDebtOfWhoWasServedMore) {
  tenant_accounts accounts{100};
  serve(accounts, "long", 1000);
  serve(accounts, "short", 10);
  EXPECT_EQ(accounts.of("long").n_served, 1000);
  EXPECT_EQ(accounts.of("short").n_served, 10);
}

TEST(TenantAccounts, ForgetWhomTheRoundsHavePassed) {
  tenant_accounts accounts{100};
  for (int i = 0; i < 50; ++i) {
    serve(accounts, "t" + std::to_string(i), 100);
  }
  EXPECT_EQ(accounts.size(), 50U);
  serve(accounts, "t0", 1);
  EXPECT_EQ(accounts.size(), 1U);
}

/// Planted bug that it caught: no bound.
TEST(TenantAccounts, AreBoundedWhateverNamesTheClientsChoose) {
  tenant_accounts accounts{1 << 20};
  for (int i = 0; i < 100'000; ++i) {
    serve(accounts, "t" + std::to_string(i), 1);
  }
  EXPECT_LE(accounts.size(), 4096U);
}
