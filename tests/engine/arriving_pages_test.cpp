#include "engine/kv/arriving_pages.hpp"

#include "engine/kv/file_tier.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace souffleur {
namespace {

constexpr std::size_t page_size = 32;

std::string bytes_of(int page) { return std::string(page_size, static_cast<char>(page)); }

bool holds(const page_bytes_ptr& bytes, int page) {
  return bytes && bytes[0] == static_cast<std::byte>(page) &&
         bytes[page_size - 1] == static_cast<std::byte>(page);
}

std::vector<named_page> a_prefix(const arriving_pages& tier, const std::string& salt, int n_pages) {
  std::vector<page_key> keys(static_cast<std::size_t>(n_pages));
  for (std::size_t i = 0; i < keys.size(); ++i)
    keys[i].fill(static_cast<token_id>(i));
  return tier.names_of(salt, keys);
}

std::string arrive(arriving_pages& tier, std::uint64_t owner, const named_page& page, int content) {
  const auto bytes = bytes_of(content);
  return tier.arrive(owner, tier.format_name(), page.name, arriving_pages::checksum_of(bytes), bytes);
}

} // namespace

RC_GTEST_PROP(ArrivingPages, EachPageIsThereUntilItIsTakenOrItsOwnerIsForgottenAndNeverTooMany, ()) {
  const auto n_most = *rc::gen::inRange<std::size_t>(1, 6);
  arriving_pages tier{{"format", page_size, n_most * page_size}, nullptr};
  const auto names = a_prefix(tier, "a", 8);
  struct waiting {
    std::uint64_t owner;
    int content;
  };
  std::map<int, waiting> model;
  for (int i = *rc::gen::inRange(1, 60); i > 0; --i) {
    const int page = *rc::gen::inRange(0, 8);
    const auto& name = names[static_cast<std::size_t>(page)];
    const auto owner = *rc::gen::inRange<std::uint64_t>(1, 4);
    switch (*rc::gen::weightedElement<int>({{8, 0}, {3, 1}, {1, 2}, {1, 3}})) {
    case 0: {
      const bool fits = model.contains(page) || model.size() < n_most;
      RC_ASSERT(arrive(tier, owner, name, i).empty() == fits);
      if (fits)
        model.try_emplace(page, waiting{owner, i});
      break;
    }
    case 1: {
      const auto bytes = tier.get(name);
      RC_ASSERT(bool{bytes} == model.contains(page));
      RC_ASSERT((!bytes || holds(bytes, model.at(page).content)));
      model.erase(page);
      break;
    }
    case 2:
      tier.forget(owner);
      std::erase_if(model, [&](const auto& one) { return one.second.owner == owner; });
      break;
    default:
      tier.forget_all();
      model.clear();
    }
    RC_ASSERT(tier.n_waiting() == model.size());
    int n_front = 0;
    while (model.contains(n_front))
      ++n_front;
    RC_ASSERT(tier.n_stored(names) == n_front);
  }
}

TEST(ArrivingPages, ArePassedOverByWhoComputesOtherwiseOrForSomebodyElse) {
  arriving_pages tier{{"format", page_size, 1 << 20}, nullptr};
  const arriving_pages other{{"another format", page_size, 1 << 20}, nullptr};
  const auto theirs = a_prefix(other, "a", 1).front();
  const auto bytes = bytes_of(1);
  const auto checksum = arriving_pages::checksum_of(bytes);
  EXPECT_NE(tier.arrive(1, other.format_name(), theirs.name, checksum, bytes).find("not this model's"),
            std::string::npos);
  EXPECT_NE(tier.arrive(1, tier.format_name(), theirs.name, checksum + 1, bytes).find("damaged"),
            std::string::npos);
  EXPECT_NE(tier.arrive(1, tier.format_name(), theirs.name, checksum, bytes.substr(1)).find("damaged"),
            std::string::npos);
  EXPECT_EQ(tier.n_waiting(), 0U);
  // Even if it is let in under a false format, nobody here computes that name.
  EXPECT_EQ(tier.arrive(1, tier.format_name(), theirs.name, checksum, bytes), "");
  EXPECT_EQ(tier.n_stored(a_prefix(tier, "a", 1)), 0);
  EXPECT_EQ(arrive(tier, 1, a_prefix(tier, "a", 1).front(), 1), "");
  EXPECT_EQ(tier.n_stored(a_prefix(tier, "a", 1)), 1);
  EXPECT_EQ(tier.n_stored(a_prefix(tier, "b", 1)), 0) << "another tenant's";
}

TEST(ArrivingPages, GoBeforeFilesWhichHaveTheRest) {
  const testing::scratch_folder folder;
  const std::shared_ptr<file_tier> files = *file_tier::open({folder.path(), 1 << 20, "format", page_size});
  arriving_pages tier{{"format", page_size, 1 << 20}, files};
  const auto names = a_prefix(tier, "a", 4);
  for (const int in_files : {0, 3}) {
    const std::vector<std::byte> bytes(page_size, static_cast<std::byte>(in_files));
    EXPECT_TRUE(tier.claim(names[static_cast<std::size_t>(in_files)]));
    EXPECT_TRUE(tier.put(names[static_cast<std::size_t>(in_files)], bytes));
  }
  for (const int arrived : {1, 2})
    EXPECT_EQ(arrive(tier, 1, names[static_cast<std::size_t>(arrived)], arrived), "");
  EXPECT_EQ(tier.n_stored(names), 4);
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(holds(tier.get(names[static_cast<std::size_t>(i)]), i)) << i;
  EXPECT_EQ(tier.n_stored(names), 1) << "what had arrived was taken";
}

} // namespace souffleur
