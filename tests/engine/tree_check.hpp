// Trees of rows against the chains that they are made of, bit by bit, on any language_model.
#pragma once

#include "engine/language_model.hpp"
#include "engine/tree_lines.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <vector>

namespace souffleur::testing {

constexpr int tree_check_pages = 48;
constexpr int tree_check_vocabulary = 96;
constexpr int most_places = 176; // more than a part of attention, 128

struct tree_case {
  std::vector<token_id> before; ///< the text that is computed earlier
  int n_dropped = 0;            ///< positions that nobody has
  std::vector<token_id> tokens;
  std::vector<int> parents;

  std::vector<int> path(int row) const {
    std::vector<int> rows;
    for (; row >= 0; row = parents[static_cast<std::size_t>(row)])
      rows.insert(rows.begin(), row);
    return rows;
  }
};

inline tree_case any_case() {
  tree_case one;
  const auto any_token = rc::gen::inRange(0, tree_check_vocabulary);
  const int n_before = *rc::gen::oneOf(rc::gen::inRange(0, 40), rc::gen::inRange(110, 140));
  one.before = *rc::gen::container<std::vector<token_id>>(static_cast<std::size_t>(n_before), any_token);
  one.n_dropped = *rc::gen::element(0, 0, 2 * page_tokens);
  const int n_rows = *rc::gen::inRange(1, 24);
  const bool is_deep = *rc::gen::arbitrary<bool>();
  for (int row = 0; row < n_rows; ++row) {
    one.tokens.push_back(*any_token);
    one.parents.push_back(*rc::gen::inRange(std::max(-1, is_deep ? row - 3 : -1), row));
  }
  if (n_rows > 0)
    one.parents[0] = -1;
  return one;
}

inline std::vector<page_id> some_pages(int first) {
  std::vector<page_id> pages(most_places / page_tokens);
  for (std::size_t i = 0; i < pages.size(); ++i)
    pages[i] = first + static_cast<page_id>(i * 7 % pages.size());
  return pages;
}

using floats = std::vector<float>;

/// Logits of the last `n_logit_rows`.
inline floats run(language_model& model, std::span<const sequence_rows> batch) {
  std::size_t n = 0;
  for (const auto& rows : batch)
    n += static_cast<std::size_t>(rows.n_logit_rows);
  floats logits(n * tree_check_vocabulary);
  model.forward(batch, logits);
  return logits;
}

inline void compute(language_model& model, const std::vector<page_id>& pages, const tree_case& one) {
  if (one.before.empty())
    return;
  const sequence_rows rows{pages, one.n_dropped, one.before, 1, one.n_dropped, {}};
  run(model, {&rows, 1});
}

/// Of the chain down to `row`, token by token: its last row's logits, and what is in the pages after it.
inline floats run_alone(language_model& model, const std::vector<page_id>& pages, const tree_case& one,
                        int row) {
  floats logits;
  int position = one.n_dropped + static_cast<int>(one.before.size());
  for (const int at : one.path(row)) {
    const sequence_rows rows{
        pages, position++,    std::span{one.tokens}.subspan(static_cast<std::size_t>(at), 1),
        1,     one.n_dropped, {}};
    logits = run(model, {&rows, 1});
  }
  return logits;
}

/// What a row computes that comes next: it reads all that the pages have.
inline floats run_next(language_model& model, const std::vector<page_id>& pages, const tree_case& one,
                       int row) {
  const token_id next = 5;
  const int position =
      one.n_dropped + static_cast<int>(one.before.size()) + static_cast<int>(one.path(row).size());
  const sequence_rows rows{pages, position, {&next, 1}, 1, one.n_dropped, {}};
  return run(model, {&rows, 1});
}

/// The keys and values of the kept places, as they would be saved: nothing else in the pages is compared.
inline std::vector<std::byte> saved(const language_model& model, page_id page) {
  std::vector<std::byte> bytes(model.page_bytes());
  model.save_page(page, bytes);
  return bytes;
}

/// REQUIRES: the model has tree_check_pages pages and tree_check_vocabulary tokens.
inline void check_any_tree(language_model& model) {
  const auto one = any_case();
  const auto other = any_case();
  const int first_place = static_cast<int>(one.before.size());
  RC_PRE(tree_lines(one.parents, first_place).n_scratch_pages() +
             tree_lines(other.parents, static_cast<int>(other.before.size())).n_scratch_pages() <=
         n_scratch_pages);
  const auto pages = some_pages(0);
  const auto other_pages = some_pages(11);
  const auto chain_pages = some_pages(22);
  compute(model, pages, one);
  compute(model, other_pages, other);
  const auto n_rows = static_cast<int>(one.tokens.size());
  const auto rows_of = [](const tree_case& tree, const std::vector<page_id>& its_pages) {
    return sequence_rows{its_pages,      tree.n_dropped + static_cast<int>(tree.before.size()),
                         tree.tokens,    static_cast<int>(tree.tokens.size()),
                         tree.n_dropped, tree.parents};
  };
  std::vector<sequence_rows> batch{rows_of(one, pages)};
  const bool is_first = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>())
    batch.insert(is_first ? batch.end() : batch.begin(), rows_of(other, other_pages));
  if (batch.size() == 2 && *rc::gen::arbitrary<bool>())
    batch[is_first ? 1 : 0].parents = {}; // a chain beside it
  const std::size_t index = batch.size() == 2 && !is_first ? 1 : 0;
  const auto logits = run(model, batch);
  const auto first_logits =
      logits.begin() +
      static_cast<std::ptrdiff_t>(index == 1 ? other.tokens.size() * tree_check_vocabulary : 0);
  const int kept = *rc::gen::inRange(0, n_rows);
  model.keep(index, kept);

  compute(model, chain_pages, one);
  for (int row = 0; row < n_rows; ++row) {
    const auto expected = run_alone(model, chain_pages, one, row);
    RC_ASSERT(
        std::ranges::equal(expected, std::span{first_logits + std::ptrdiff_t{row} * tree_check_vocabulary,
                                               static_cast<std::size_t>(tree_check_vocabulary)}));
  }
  run_alone(model, chain_pages, one, kept);
  const int n_kept = first_place + static_cast<int>(one.path(kept).size());
  for (int page = 0; page < n_kept / page_tokens; ++page)
    RC_ASSERT(saved(model, pages[static_cast<std::size_t>(page)]) ==
              saved(model, chain_pages[static_cast<std::size_t>(page)]));
  RC_ASSERT(run_next(model, pages, one, kept) == run_next(model, chain_pages, one, kept));
}

} // namespace souffleur::testing
