#include "engine/drafting/suffix_match.hpp"

#include "naive_suffixes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>

using namespace souffleur;
using namespace souffleur::testing;

RC_GTEST_PROP(SuffixMatch, ContinuesWhatASearchThroughTheTreesTextsFinds, ()) {
  const auto depth = any_in(2, 8);
  const auto n_vocabulary = *rc::gen::element<token_id>(1, 2, 4);
  std::array<suffix_tree, 2> trees = {suffix_tree{depth, 0}, suffix_tree{depth, 1000}};
  std::array<naive_suffixes, 2> naive = {naive_suffixes{depth}, naive_suffixes{depth}};
  suffix_match match{depth};
  tokens context;
  std::vector<tokens> texts;
  for (auto n = any_in(0, 30); n > 0; --n) {
    const auto which = *rc::gen::weightedElement<std::size_t>({{5, 0}, {1, 1}});
    switch (*rc::gen::weightedElement<int>({{2, 0}, {1, 1}, {6, 2}})) {
    case 0: {
      const auto text = any_text_like(texts, n_vocabulary);
      texts.push_back(text);
      add_text(trees[which], naive[which], text);
      break;
    }
    case 1:
      if (naive[which].n_texts() > 0) {
        trees[which].remove_oldest();
        naive[which].remove_oldest();
      }
      break;
    default: {
      auto more = any_text_like(texts, n_vocabulary);
      more.resize(std::min(more.size(), *rc::gen::element<std::size_t>(0, 2, 100)));
      match.append(more);
      context.insert(context.end(), more.begin(), more.end());
      if (any_in(0, 4) > 0) {
        const draft_shape shape{any_in(0, 6), any_in(1, 3)};
        const auto found = match.propose(trees[which], shape);
        const auto expected = naive[which].propose(naive[which].longest_match(context), shape);
        RC_ASSERT(found.match_length == expected.match_length);
        RC_ASSERT(found.tokens() == expected.tokens());
      }
    }
    }
  }
}
