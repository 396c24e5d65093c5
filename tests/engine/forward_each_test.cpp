// Logits told of one sequence after the other.
#include "engine/model/load_model.hpp"
#include "tests/engine/tiny_model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

namespace souffleur {
namespace {

using namespace testing;

constexpr int n_pages = 64;

std::shared_ptr<language_model> tiny() {
  static const auto bytes = tiny_llama().bytes();
  const auto file = gguf_file::parse(bytes);
  return *load_model(*file, {2, n_pages, kv_type::f16});
}

/// A batch and what its rows view.
struct random_batch {
  random_batch() {
    const int n = *rc::gen::inRange(0, 16);
    for (int i = 0; i < n; ++i) {
      const int most = 2 * page_tokens;
      tokens.push_back(*rc::gen::container<std::vector<token_id>>(
          static_cast<std::size_t>(*rc::gen::inRange(0, most)), rc::gen::inRange(0, 96)));
      pages.push_back({2 * i + 1, 2 * i});
      const int n_tokens = static_cast<int>(tokens.back().size());
      n_logit_rows.push_back(*rc::gen::element(0, std::min(1, n_tokens), n_tokens / 2, n_tokens));
    }
    for (std::size_t i = 0; i < tokens.size(); ++i)
      rows.push_back({pages[i], 0, tokens[i], n_logit_rows[i]});
  }

  std::size_t n_logits(int vocabulary_size) const {
    return static_cast<std::size_t>(std::accumulate(n_logit_rows.begin(), n_logit_rows.end(), 0)) *
           static_cast<std::size_t>(vocabulary_size);
  }

  std::vector<std::vector<token_id>> tokens;
  std::vector<std::vector<page_id>> pages;
  std::vector<int> n_logit_rows;
  std::vector<sequence_rows> rows;
};

/// Checks that every sequence is told of, in order, too.
std::vector<float> told(language_model& model, const random_batch& batch) {
  std::vector<float> all;
  std::size_t next = 0;
  for_each_output(model, batch.rows, [&](std::size_t sequence, const row_outputs& outputs) {
    const auto logits = outputs.logits;
    RC_ASSERT(sequence == next++);
    RC_ASSERT(logits.size() == static_cast<std::size_t>(batch.n_logit_rows[sequence]) *
                                   static_cast<std::size_t>(model.vocabulary_size()));
    all.insert(all.end(), logits.begin(), logits.end());
  });
  RC_ASSERT(next == batch.rows.size());
  return all;
}

/// Planted bugs that it caught: a slice that begins at row 0 again; a sequence without rows that is not told
/// of; tensors of the step before that are used after a rest.
RC_GTEST_PROP(ForwardEach, TellsTheLogitsThatForwardGivesAlsoAfterARest, ()) {
  static const auto model = tiny();
  const random_batch batch;
  std::vector<float> expected(batch.n_logits(model->vocabulary_size()));
  model->forward(batch.rows, expected);
  RC_ASSERT(told(*model, batch) == expected);
  model->rest();
  RC_ASSERT(told(*model, batch) == expected);
}

} // namespace
} // namespace souffleur
