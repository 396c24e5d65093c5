// Entries as JSON: nothing is lost, and what is missing or wrong is named.
#include "engine/cache/entry_json.hpp"

#include "tests/engine/cache/random_entry.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

using testing::any_entry;
using testing::is_same;

/// One of each kind of field.
cache_entry entry_with_everything() {
  cache_entry entry;
  entry.question = "why \"this\"?";
  entry.embedding = {0.6F, 0.8F};
  entry.embedder = "e";
  entry.answer = std::make_shared<const cached_answer>(
      cached_answer{{{1, "\xe2\x80", ""}, {2, "\x94", "\u2014"}}, "", "."});
  return entry;
}

} // namespace

RC_GTEST_PROP(EntryJson, LosesNothing, ()) {
  const auto entry = any_entry();
  const auto line = entry_as_json(entry);
  RC_ASSERT(line.find('\n') == std::string::npos);
  const auto read = entry_from_json(line);
  RC_ASSERT(read.ok());
  RC_ASSERT(is_same(*read, entry));
}

TEST(EntryJson, NamesTheFieldThatIsMissingOrWrong) {
  const auto whole = boost::json::parse(entry_as_json(entry_with_everything())).as_object();
  for (const auto& field : whole) {
    const std::string name{field.key()};
    auto without = whole;
    without.erase(field.key());
    const auto read = entry_from_json(boost::json::serialize(without));
    ASSERT_FALSE(read.ok()) << name;
    EXPECT_EQ(read.error(), "\"" + name + "\" is missing or wrong");
    auto other = whole;
    other[field.key()] = true;
    EXPECT_FALSE(entry_from_json(boost::json::serialize(other)).ok()) << name;
  }
}

TEST(EntryJson, NamesTheFirstOfSeveralThatAreWrong) {
  auto changed = boost::json::parse(entry_as_json(entry_with_everything())).as_object();
  changed["embedding"].as_array()[1] = "x";
  changed["tokens"] = "x";
  EXPECT_EQ(entry_from_json(boost::json::serialize(changed)).error(), "\"embedding\" is missing or wrong");
}

TEST(EntryJson, ReadsNothingThatIsNoEntry) {
  const auto line = entry_as_json(entry_with_everything());
  EXPECT_TRUE(entry_from_json(line).ok());
  const auto with = [&](const std::string& from, const std::string& to) {
    auto changed = line;
    const auto at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return entry_from_json(changed.replace(at, from.size(), to));
  };
  EXPECT_FALSE(with("\"id\":1", "\"id\":4294967297").ok());
  EXPECT_FALSE(with("\"id\":1", "\"id\":1.5").ok());
  EXPECT_FALSE(with("\"hex\":\"e280\"", "\"hex\":\"e28\"").ok());
  EXPECT_FALSE(with("\"owner\":\"00", "\"owner\":\"").ok());
  const auto longer = with("\"embedding\":[", "\"embedding\":[0.5,");
  ASSERT_FALSE(longer.ok());
  EXPECT_EQ(longer.error(), "\"embedding\" is not of length 1");
  for (const auto* text : {"", "{", "7", "[]", "null", "{}"})
    EXPECT_FALSE(entry_from_json(text).ok()) << text;
}

} // namespace souffleur
