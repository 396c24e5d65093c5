// Streams that wait for their clients.
#include "net/stream/resumable_streams.hpp"

#include <gtest/gtest.h>

#include <set>

namespace souffleur {
namespace {

using namespace std::chrono_literals;
using stream_ptr = resumable_streams::stream_ptr;

constexpr stream_time start{};

stream_ptr stream_named(const std::string& name, const std::string& tenant = "t") {
  return std::make_shared<stream>(name, tenant, stream_outbox{name, "m", {}}, 1000);
}

TEST(resumable_streams, areFoundByTokenNameAndTenantOnly) {
  resumable_streams all{30s, 10};
  const auto one = stream_named("a");
  all.add(one);
  const auto& token = one->resume_token();
  EXPECT_EQ(token.size(), 32U);
  EXPECT_EQ(all.find(token, "a", "t"), one);
  EXPECT_EQ(all.find(token, "b", "t"), nullptr);
  EXPECT_EQ(all.find(token, "a", "u"), nullptr);
  EXPECT_EQ(all.find("", "a", "t"), nullptr);
  all.forget(*one);
  EXPECT_EQ(all.find(token, "a", "t"), nullptr);
}

TEST(resumable_streams, noTwoTokensAreEqual) {
  resumable_streams all{30s, 10};
  std::set<std::string> tokens;
  std::vector<stream_ptr> made;
  for (int i = 0; i < 1000; ++i) {
    made.push_back(stream_named("a"));
    all.add(made.back());
    tokens.insert(made.back()->resume_token());
  }
  EXPECT_EQ(tokens.size(), 1000U);
}

TEST(resumable_streams, onlyTheParkedOutliveTheirConnectionAndOnlyForATime) {
  resumable_streams all{30s, 10};
  auto parked = stream_named("a");
  auto left = stream_named("b");
  all.add(parked);
  all.add(left);
  const auto token = parked->resume_token();
  const auto other_token = left->resume_token();
  EXPECT_EQ(all.due(), std::nullopt);
  all.park(parked, start);
  parked.reset();
  left.reset();
  EXPECT_NE(all.find(token, "a", "t"), nullptr);
  EXPECT_EQ(all.find(other_token, "b", "t"), nullptr);
  EXPECT_EQ(all.due(), start + 30s);
  EXPECT_TRUE(all.expire(start + 29s).empty());
  EXPECT_EQ(all.expire(start + 30s).size(), 1U);
  EXPECT_EQ(all.find(token, "a", "t"), nullptr);
  EXPECT_EQ(all.n_parked(), 0U);
}

TEST(resumable_streams, whoIsBackDoesNotExpire) {
  resumable_streams all{30s, 10};
  const auto one = stream_named("a");
  all.add(one);
  all.park(one, start);
  all.unpark(*one);
  EXPECT_TRUE(all.expire(start + 60s).empty());
  EXPECT_EQ(all.find(one->resume_token(), "a", "t"), one);
  EXPECT_EQ(all.n_parked(), 0U);
}

TEST(resumable_streams, theOneThatWaitsLongestMakesPlace) {
  resumable_streams all{30s, 2};
  std::vector<stream_ptr> made;
  for (int i = 0; i < 4; ++i) {
    made.push_back(stream_named(std::to_string(i)));
    all.add(made.back());
  }
  EXPECT_TRUE(all.park(made[1], start).empty());
  EXPECT_TRUE(all.park(made[0], start + 1s).empty());
  EXPECT_EQ(all.park(made[2], start + 2s), std::vector{made[1]});
  EXPECT_EQ(all.n_parked(), 2U);
  EXPECT_EQ(all.find(made[3]->resume_token(), "3", "t"), made[3]) << "it is on a connection";
  EXPECT_EQ(all.expire_all().size(), 2U);
}

} // namespace
} // namespace souffleur
