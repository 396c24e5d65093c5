#include "actors/trouble_watch.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace souffleur {
namespace {

using told = std::vector<std::pair<std::string, std::string>>;

TEST(TroubleWatch, TellsWhenSomethingBeginsToFailAndWhenItWorksAgainAndNothingInBetween) {
  told heard;
  trouble_watch disk{"disk",
                     [&](const std::string& what, const std::string& why) { heard.emplace_back(what, why); }};
  disk.worked();
  EXPECT_TRUE(heard.empty());
  disk.failed("full");
  disk.failed("full");
  EXPECT_EQ(heard, (told{{"disk", "full"}}));
  disk.worked();
  disk.worked();
  EXPECT_EQ(heard, (told{{"disk", "full"}, {"disk", ""}}));
  disk.failed("gone");
  EXPECT_EQ(heard.back(), (std::pair<std::string, std::string>{"disk", "gone"}));
}

TEST(TroubleWatch, NobodyNeedsToListen) {
  trouble_watch disk{"disk", nullptr};
  disk.failed("full");
  disk.worked();
}

} // namespace
} // namespace souffleur
