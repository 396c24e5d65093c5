#include "net/api_keys.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <sstream>

namespace souffleur {
namespace {

std::string complaint(const std::string& lines) {
  std::istringstream in{lines};
  const auto keys = api_keys::read(in);
  return keys ? "" : keys.error();
}

TEST(api_keys, aKeyBelongsToItsTenant) {
  std::istringstream lines{"# who may ask\n\nalice a-key-of-16-letters\nalice another.key.of.hers\n"
                           "bob blake2b:991eb7058b490435ce2fcc932a44f4cfefd0284c6bdee2964dcc77fbe4771d09\n"};
  const auto keys = api_keys::read(lines);
  ASSERT_TRUE(keys.ok()) << keys.error();
  EXPECT_EQ(keys->size(), 3U);
  EXPECT_EQ(keys->tenant_of("a-key-of-16-letters"), "alice");
  EXPECT_EQ(keys->tenant_of("another.key.of.hers"), "alice");
  EXPECT_EQ(keys->tenant_of("a-key-of-bob-by-hash"), "bob");
  for (const auto* wrong : {"", "a-key-of-16-letter", "a-key-of-16-letters ", "A-key-of-16-letters", "bob"})
    EXPECT_FALSE(keys->tenant_of(wrong)) << wrong;
}

TEST(api_keys, aHashStandsForItsKey) {
  const std::string key = "a-key-of-16-letters";
  std::istringstream lines{"alice " + hashed_key(key) + "\n"};
  const auto keys = api_keys::read(lines);
  ASSERT_TRUE(keys.ok()) << keys.error();
  EXPECT_EQ(keys->tenant_of(key), "alice");
  EXPECT_FALSE(keys->tenant_of(hashed_key(key))) << "who has read the file has no key";
}

TEST(api_keys, aLineThatIsWrongIsNamedAndItsKeyIsNot) {
  EXPECT_TRUE(complaint("alice a-key-of-16-letters").empty());
  for (const auto& [line, what] : std::map<std::string, std::string>{
           {"alice", "a tenant's name and a key"},
           {"alice a-key-of-16-letters more", "requests_per_minute=N"},
           {"alice a-key-of-16-letters tokens_per_day=x", "has to be a number"},
           {"alice a-key-of-16-letters tokens_per_day=-1", "has to be a number"},
           {"alice a-key-of-16-letters tokens_per_day", "has to be a number"},
           {"alice a-key-of-16-letters tokens_per_day=nan", "has to be a number"},
           {"alice short", "16 to 128"},
           {"alice a-key-with-a-\"-in-it", "16 to 128"},
           {"alice " + std::string(129, 'x'), "16 to 128"},
           {"alice blake2b:12", "64 hexadecimal"},
           {"bob a-key-that-is-there", "already"}}) {
    const auto found = complaint("# first\nalice a-key-that-is-there\n" + line + "\n");
    EXPECT_NE(found.find("line 3: "), std::string::npos) << found;
    EXPECT_NE(found.find(what), std::string::npos) << found;
    EXPECT_EQ(found.find("-in-it"), std::string::npos) << "keys do not get into logs";
  }
  EXPECT_NE(api_keys::read(std::string{"/no/such/file"}).error().find("/no/such/file"), std::string::npos);
}

TEST(api_keys, aTenantMayHaveLimitsOfItsOwn) {
  std::istringstream lines{"alice a-key-of-16-letters requests_per_minute=5 tokens_per_day=0\n"
                           "alice another.key.of.hers\nbob a-key-of-bob-456789\n"};
  const auto keys = api_keys::read(lines);
  ASSERT_TRUE(keys.ok()) << keys.error();
  const tenant_limits usual{1, 2, 3};
  EXPECT_EQ(keys->limits_of("alice", usual), (tenant_limits{5, 2, 0}));
  EXPECT_EQ(keys->limits_of("bob", usual), usual);
  EXPECT_EQ(keys->limits_of("nobody", usual), usual);
  EXPECT_NE(
      complaint("alice a-key-of-16-letters tokens_per_day=1\nalice another.key.of.hers tokens_per_day=2")
          .find("line 2: the tenant has another tokens_per_day"),
      std::string::npos);
}

TEST(api_keys, onlyABearerHasAKey) {
  EXPECT_EQ(bearer_key("Bearer abc"), "abc");
  EXPECT_EQ(bearer_key("bearer   abc"), "abc");
  for (const auto* none : {"", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc"})
    EXPECT_EQ(bearer_key(none), "") << none;
}

RC_GTEST_PROP(api_keys, nobodyElsesKeyOpens, ()) {
  const auto any_key = rc::gen::container<std::string>(20, rc::gen::elementOf(std::string{"abAB01-._~"}));
  const auto given = *rc::gen::container<std::map<std::string, std::string>>(
      any_key, rc::gen::element<std::string>("alice", "bob", "carol"));
  std::stringstream lines;
  for (const auto& [key, tenant] : given)
    lines << tenant << ' ' << key << '\n';
  const auto keys = api_keys::read(lines);
  RC_ASSERT(keys.ok());
  for (const auto& [key, tenant] : given)
    RC_ASSERT(keys->tenant_of(key) == tenant);
  const auto other = *any_key;
  RC_ASSERT(keys->tenant_of(other).has_value() == given.contains(other));
}

} // namespace
} // namespace souffleur
