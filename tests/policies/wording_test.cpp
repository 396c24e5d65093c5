#include "policies/wording.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace souffleur;

TEST(Wording, ForgetsSmallWordsEndingsCaseAndOrder) {
  EXPECT_EQ(content_words("How do I cook the eggs?"), content_words("EGGS: what is cooking an egg like"));
  EXPECT_EQ(content_words("cook an egg").size(), 2U);
}

TEST(Wording, NumbersSaySomething) {
  EXPECT_NE(content_words("convert 10 miles"), content_words("convert 20 miles"));
  EXPECT_EQ(content_words("convert 10 miles").size(), 3U);
}

TEST(Wording, IsEmptyWhereNothingIsSaidOrWordsHaveNoSpacesBetweenThem) {
  EXPECT_TRUE(content_words("").empty());
  EXPECT_TRUE(content_words("what is it?").empty());
  EXPECT_TRUE(content_words("巴黎的天气怎么样").empty());
}

TEST(Wording, OfALongTextOnlyTheBeginningCounts) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += std::to_string(i) + " ";
  EXPECT_EQ(content_words(text).size(), most_content_words);
  EXPECT_EQ(content_words(text + "moon"), content_words(text));
}

// Whatever bytes there are.
RC_GTEST_PROP(Wording, IsSortedWithoutRepetitionsAndBounded, (const std::string& text)) {
  const auto words = content_words(text);
  RC_ASSERT(words.size() <= most_content_words);
  RC_ASSERT(std::ranges::adjacent_find(words, std::greater_equal<>{}) == words.end());
}

RC_GTEST_PROP(Wording, IsThatOfTheWordsInAnyOrder, ()) {
  const auto names = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("lion", "river", "42", "the", "glass", "of", "moon"));
  const auto joined = [](const std::vector<std::string>& all) {
    std::string text;
    for (const auto& one : all)
      text += one + " ";
    return text;
  };
  auto turned = names;
  std::ranges::reverse(turned);
  RC_PRE(names.size() <= most_content_words);
  RC_ASSERT(content_words(joined(names)) == content_words(joined(turned)));
}
