#include "engine/drafting/answer_trees.hpp"

#include "naive_suffixes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <random>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

constexpr int depth = 4;
constexpr std::size_t kib = 1024;

tokens answer_of(std::mt19937& random, std::size_t n, unsigned n_vocabulary) {
  tokens answer(n);
  for (auto& token : answer) {
    token = static_cast<token_id>(random() % n_vocabulary);
  }
  return answer;
}

/// The tree has nothing but the last of `answers`, as many as it has texts.
void require_content(const suffix_tree& tree, const std::deque<tokens>& answers) {
  naive_suffixes naive{depth};
  RC_ASSERT(tree.n_texts() >= 1 && static_cast<std::size_t>(tree.n_texts()) <= answers.size());
  for (auto i = answers.size() - static_cast<std::size_t>(tree.n_texts()); i < answers.size(); ++i) {
    naive.append(answers[i]);
    naive.close();
  }
  RC_ASSERT(tree.check() == "");
  RC_ASSERT(tree.n_tokens() == naive.n_tokens());
  RC_ASSERT(tree.n_nodes() == naive.n_nodes());
  for (const auto& answer : answers) {
    for (std::size_t i = 0; i + depth <= answer.size(); i += 97) {
      const tokens string(answer.begin() + static_cast<std::ptrdiff_t>(i),
                          answer.begin() + static_cast<std::ptrdiff_t>(i) + depth - 1);
      RC_ASSERT(tree.count(string) == naive.count(string));
    }
  }
}

} // namespace

RC_GTEST_PROP(AnswerTrees, KeepTheLastAnswersOfTheLastTenantsWithinTheirBytes, ()) {
  const auto tenant_bytes = *rc::gen::inRange<std::size_t>(60, 200) * kib;
  const auto total_bytes = *rc::gen::inRange<std::size_t>(60, 600) * kib;
  const auto n_tenants = *rc::gen::inRange(1, 7);
  std::mt19937 random{*rc::gen::arbitrary<unsigned>()};
  answer_trees trees{total_bytes, tenant_bytes, depth};
  std::map<int, std::deque<tokens>> answers; ///< since the tenant's tree is there
  std::map<int, std::size_t> bytes;          ///< of trees, when last seen
  std::vector<int> by_use;                   ///< tenants that have one; the one used last comes first
  const auto use = [&](int tenant) {
    std::erase(by_use, tenant);
    by_use.insert(by_use.begin(), tenant);
  };
  for (auto n = *rc::gen::inRange(0, 60); n > 0; --n) {
    const auto tenant = *rc::gen::inRange(0, n_tenants);
    if (*rc::gen::inRange(0, 4) == 0) {
      const auto* tree = trees.find(std::to_string(tenant));
      RC_ASSERT((tree != nullptr) == answers.contains(tenant));
      if (tree) {
        use(tenant);
      }
      continue;
    }
    const auto n_vocabulary = *rc::gen::element(3U, 50U, 1000U);
    const auto answer = answer_of(random, *rc::gen::inRange<std::size_t>(0, 300), n_vocabulary);
    trees.add(std::to_string(tenant), answer);
    if (!answer.empty()) {
      answers[tenant].push_back(answer);
      use(tenant);
    }
    while (by_use.size() > trees.n_tenants()) {
      RC_ASSERT(trees.find(std::to_string(by_use.back())) == nullptr);
      RC_ASSERT(by_use.size() > trees.n_tenants() + 1 || trees.bytes() + bytes[by_use.back()] > total_bytes);
      answers.erase(by_use.back());
      by_use.pop_back();
    }
    std::size_t total = 0;
    for (auto i = by_use.rbegin(); i != by_use.rend(); ++i) { // so that the order stays
      const auto* tree = trees.find(std::to_string(*i));
      RC_ASSERT(tree != nullptr);
      RC_ASSERT(tree->bytes() <= tenant_bytes);
      bytes[*i] = tree->bytes();
      total += tree->bytes();
    }
    RC_ASSERT(trees.bytes() == total);
    RC_ASSERT(total <= total_bytes);
  }
  for (const auto& [tenant, all] : answers) {
    require_content(*trees.find(std::to_string(tenant)), all);
  }
}

TEST(AnswerTrees, UseMostOfTheBytesTheyMay) {
  constexpr auto limit_bytes = 2048 * kib;
  answer_trees trees{limit_bytes, limit_bytes};
  std::mt19937 random{1};
  for (auto i = 0; i < 400; ++i) {
    trees.add("a", answer_of(random, 300, i < 200 ? 20 : 5000)); // first few leaves, then many
    EXPECT_LE(trees.bytes(), limit_bytes);
    EXPECT_GE(trees.find("a")->n_texts(), std::min(i + 1, 20)) << i;
  }
  EXPECT_GE(trees.bytes(), limit_bytes * 3 / 4);
}

TEST(AnswerTrees, KeepNothingThatHasNoRoomAtAll) {
  answer_trees trees{1024 * kib, 64 * kib};
  std::mt19937 random{1};
  trees.add("a", answer_of(random, 100, 50));
  trees.add("a", answer_of(random, 5000, 50));
  trees.add("b", answer_of(random, 5000, 50));
  ASSERT_NE(trees.find("a"), nullptr);
  EXPECT_EQ(trees.find("a")->n_texts(), 1);
  EXPECT_EQ(trees.find("b"), nullptr);
}

/// Planted bug that it caught: one tenant goes at most.
TEST(AnswerTrees, AsManyTenantsGoAsMakeRoomForAnother) {
  constexpr auto limit_bytes = 512 * kib;
  answer_trees trees{limit_bytes, limit_bytes, depth};
  std::mt19937 random{1};
  auto n_small = 0;
  for (; trees.n_tenants() == static_cast<std::size_t>(n_small); ++n_small) {
    trees.add(std::to_string(n_small), tokens{1, 2, 3});
  }
  trees.add("large", answer_of(random, 3000, 50));
  ASSERT_NE(trees.find("large"), nullptr);
  EXPECT_LE(trees.bytes(), limit_bytes);
  EXPECT_LT(trees.n_tenants() + 2, static_cast<std::size_t>(n_small));
  EXPECT_NE(trees.find(std::to_string(n_small - 1)), nullptr);
}

TEST(AnswerTrees, GiveATreeThatIsMadeAnewAnotherVersion) {
  answer_trees trees{70 * kib, 70 * kib};
  trees.add("a", tokens{1, 2, 3});
  const auto version = trees.find("a")->version();
  trees.add("b", tokens{1, 2, 3});
  trees.add("b", tokens{1, 2, 3});
  trees.add("c", tokens{1, 2, 3});
  trees.add("a", tokens{1, 2, 3});
  EXPECT_NE(trees.find("a")->version(), version);
}
