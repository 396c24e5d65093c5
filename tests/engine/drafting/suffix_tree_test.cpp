#include "engine/drafting/suffix_tree.hpp"

#include "naive_suffixes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

using namespace souffleur;
using namespace souffleur::testing;

namespace {

draft_shape any_shape() {
  return {any_in(0, 12), *rc::gen::element(1, 1, 2, 3), *rc::gen::element(0.0F, 0.1F, 0.3F, 1.0F)};
}

void require_same(const draft_tree& found, const draft_tree& expected) {
  RC_ASSERT(found.match_length == expected.match_length);
  RC_ASSERT(found.nodes.size() == expected.nodes.size());
  for (std::size_t i = 0; i < found.nodes.size(); ++i) {
    RC_ASSERT(found.nodes[i].token == expected.nodes[i].token);
    RC_ASSERT(found.nodes[i].parent == expected.nodes[i].parent);
    RC_ASSERT(found.nodes[i].probability == expected.nodes[i].probability);
  }
}

/// Counts of everything that occurs in `texts`, and of something else.
void require_same_counts(const suffix_tree& tree, const naive_suffixes& naive,
                         const std::vector<tokens>& texts) {
  for (const auto& text : texts) {
    for (auto begin = text.begin(); begin != text.end(); ++begin) {
      const auto n = std::min<std::ptrdiff_t>(text.end() - begin, tree.depth() + 1);
      for (auto end = begin; end != begin + n + 1; ++end) {
        const tokens string(begin, end);
        RC_ASSERT(tree.count(string) == naive.count(string));
      }
    }
  }
}

} // namespace

RC_GTEST_PROP(SuffixTree, CountsAndContinuesAsASearchThroughItsTextsDoes, ()) {
  const auto depth = any_in(2, 8);
  const auto n_vocabulary = *rc::gen::element<token_id>(1, 2, 3, 30);
  suffix_tree tree{depth};
  naive_suffixes naive{depth};
  std::vector<tokens> texts;
  for (auto n = any_in(0, 8); n > 0; --n) {
    if (naive.n_texts() > 0 && any_in(0, 3) == 0) {
      tree.remove_oldest();
      naive.remove_oldest();
    } else {
      texts.push_back(any_text_like(texts, n_vocabulary));
      add_text(tree, naive, texts.back());
    }
    RC_ASSERT(tree.check() == "");
    RC_ASSERT(tree.n_texts() == static_cast<int>(naive.n_texts()));
    RC_ASSERT(tree.n_tokens() == naive.n_tokens());
    RC_ASSERT(tree.n_nodes() == naive.n_nodes());
  }
  require_same_counts(tree, naive, texts);
  suffix_locus at;
  tokens context;
  for (const auto token : any_text_like(texts, n_vocabulary)) {
    tree.advance(at, token);
    context.push_back(token);
    const auto shape = any_shape();
    require_same(tree.propose(at, shape), naive.propose(naive.longest_match(context), shape));
  }
}

/// Texts come and go; they part and meet again, so that nodes are made and merged, and what follows a string
/// beyond the depth differs from text to text. Planted bugs that it caught: a merge, or a split, that forgets
/// the parent of the node below; an old occurrence continued instead of the newest; a repeated suffix that
/// does not renew its leaf.
RC_GTEST_PROP(SuffixTree, ContinuesWithTheNewestOfManyTextsOfTheSamePhrases, ()) {
  const auto depth = any_in(2, 8);
  const auto phrases = any_phrases(*rc::gen::element<token_id>(2, 5, 30));
  const auto n_kept = any_in<std::size_t>(1, 5);
  suffix_tree tree{depth};
  naive_suffixes naive{depth};
  for (auto n = any_in(1, 15); n > 0; --n) {
    add_text(tree, naive, any_text_of(phrases));
    RC_ASSERT(tree.check() == "");
    while (naive.n_texts() > n_kept) {
      tree.remove_oldest();
      naive.remove_oldest();
      RC_ASSERT(tree.check() == "");
    }
    RC_ASSERT(tree.n_nodes() == naive.n_nodes());
  }
  suffix_locus at;
  tokens context;
  for (const auto token : any_text_of(phrases)) {
    tree.advance(at, token);
    context.push_back(token);
    const draft_shape shape{12, *rc::gen::element(1, 2)};
    require_same(tree.propose(at, shape), naive.propose(naive.longest_match(context), shape));
  }
}

RC_GTEST_PROP(SuffixTree, CountsAndContinuesATextThatGrows, ()) {
  const auto depth = any_in(2, 8);
  const auto n_vocabulary = *rc::gen::element<token_id>(1, 2, 3, 30);
  suffix_tree tree{depth};
  naive_suffixes naive{depth};
  std::vector<tokens> texts;
  for (auto n = any_in(0, 3); n > 0; --n) {
    texts.push_back(any_text_like(texts, n_vocabulary));
    add_text(tree, naive, texts.back());
  }
  texts.emplace_back();
  for (auto n = any_in(0, 20); n > 0; --n) {
    const auto more = any_text(n_vocabulary, 4);
    tree.append(more);
    naive.append(more);
    texts.back().insert(texts.back().end(), more.begin(), more.end());
    RC_ASSERT(tree.check() == "");
    RC_ASSERT(tree.repeated().length == naive.n_repeated());
    const auto shape = any_shape();
    require_same(tree.propose(tree.repeated(), shape),
                 naive.propose(last_of(texts.back(), naive.n_repeated()), shape));
  }
  RC_ASSERT(tree.n_nodes() == naive.n_nodes());
  require_same_counts(tree, naive, texts);
}

TEST(SuffixTree, ContinuesWithWhatFollowedMostOften) {
  suffix_tree tree;
  for (const tokens& text : {tokens{1, 2, 3, 4}, tokens{1, 2, 5}, tokens{1, 2, 3, 6}}) {
    tree.append(text);
    tree.close();
  }
  suffix_locus at;
  for (const token_id token : {9, 1, 2}) {
    tree.advance(at, token);
  }
  const auto chain = tree.propose(at, {4});
  EXPECT_EQ(chain.match_length, 2);
  EXPECT_EQ(chain.tokens(), (tokens{3, 6}));
  EXPECT_FLOAT_EQ(chain.nodes[0].probability, 2.0F / 3 * match_trust(2));
  EXPECT_FLOAT_EQ(chain.nodes[1].probability, 1.0F / 2 * match_trust(3));
  EXPECT_EQ(tree.propose(at, {4, 2}).tokens(), (tokens{3, 5, 6, 4}));
  EXPECT_EQ(tree.propose(at, {4, 1, 0.3F}).tokens(), (tokens{3}));
}

/// Planted bug that it caught: the place follows the text in which it was found first.
TEST(SuffixTree, BeyondItsDepthItContinuesTheNewestText) {
  suffix_tree tree{4};
  for (const tokens& text : {tokens{1, 2, 3, 4, 5, 6, 7, 8}, tokens{9, 3, 4, 5, 6, 20, 21}}) {
    tree.append(text);
    tree.close();
  }
  suffix_locus at;
  for (const token_id token : {1, 2, 3, 4, 5}) {
    tree.advance(at, token);
  }
  EXPECT_EQ(tree.propose(at, {3}).tokens(), (tokens{6, 20, 21}));
}

/// Whoever follows a context through the tree looks for its place again then.
TEST(SuffixTree, EveryChangeIsANewVersion) {
  suffix_tree tree{4};
  std::set<std::uint64_t> versions{tree.version()};
  const auto is_new = [&] { return versions.insert(tree.version()).second; };
  for (auto i = 0; i < 3; ++i) {
    tree.append(tokens{1, 2, 3});
    EXPECT_TRUE(is_new());
    tree.close();
    EXPECT_TRUE(is_new());
  }
  tree.remove_oldest();
  EXPECT_TRUE(is_new());
}

TEST(SuffixTree, TakesAPeriodForEndless) {
  suffix_tree tree;
  tree.append(tokens{7, 1, 2, 3, 1, 2, 3, 1});
  EXPECT_EQ(tree.propose(tree.repeated(), {7}).tokens(), (tokens{2, 3, 1, 2, 3, 1, 2}));
}

TEST(SuffixTree, GivesBackAllNodesOfWhatIsRemoved) {
  suffix_tree tree{6};
  const auto before = tree.live_bytes();
  for (auto i = 0; i < 100; ++i) {
    tree.append(tokens{i % 7, i % 5, i % 3, i % 2, i % 7, i % 5});
    tree.close();
  }
  while (tree.n_texts() > 0) {
    tree.remove_oldest();
  }
  EXPECT_EQ(tree.n_nodes(), 1U);
  EXPECT_EQ(tree.live_bytes(), before);
}
