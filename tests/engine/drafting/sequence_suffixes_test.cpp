#include "engine/drafting/sequence_suffixes.hpp"

#include "naive_suffixes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace souffleur;
using namespace souffleur::testing;

RC_GTEST_PROP(SequenceSuffixes, DraftsFromTheLastTokensInABoundedTree, ()) {
  constexpr auto depth = 5;
  const auto n_max = any_in<std::size_t>(8, 60);
  const auto n_text = n_max / 2 - 1;
  const auto n_vocabulary = *rc::gen::element<token_id>(1, 2, 4);
  sequence_suffixes drafts{n_max, depth};
  naive_suffixes naive{depth};
  tokens open;
  for (auto n = any_in(0, 30); n > 0; --n) {
    const auto more = any_text(n_vocabulary, *rc::gen::element(2, 20));
    drafts.append(more);
    for (const auto token : more) {
      open.push_back(token);
      naive.append({token});
      if (open.size() == n_text) {
        naive.close();
        open.clear();
        while (naive.n_tokens() > n_text + 1) {
          naive.remove_oldest();
        }
      }
    }
    RC_ASSERT(drafts.tree().n_tokens() <= n_max);
    RC_ASSERT(drafts.tree().n_tokens() == naive.n_tokens());
    const draft_shape shape{any_in(0, 6), any_in(1, 3)};
    const auto found = drafts.propose(shape);
    const auto expected = naive.propose(last_of(open, naive.n_repeated()), shape);
    RC_ASSERT(found.match_length == expected.match_length);
    RC_ASSERT(found.tokens() == expected.tokens());
    RC_ASSERT(found.origin == token_origin::suffix);
  }
}
