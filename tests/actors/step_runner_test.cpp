#include "actors/step_runner.hpp"

#include "tests/actors/fake_grammars.hpp"
#include "tests/actors/fake_model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

namespace souffleur {
namespace {

using namespace testing;

constexpr int n_pages = 4;

std::vector<token_id> any_tokens(int least, int most) {
  const auto n = static_cast<std::size_t>(*rc::gen::inRange(least, most + 1));
  return *rc::gen::container<std::vector<token_id>>(n, rc::gen::inRange(0, 6)); // few: they repeat
}

sampling_params any_sampling() {
  sampling_params sampling;
  sampling.temperature = *rc::gen::element(0.0F, 0.7F, 1.0F);
  sampling.seed = static_cast<std::uint64_t>(*rc::gen::inRange(0, 1'000'000));
  sampling.top_k = *rc::gen::element(0, 0, 2);
  sampling.top_p = *rc::gen::element(1.0F, 0.6F);
  sampling.min_p = *rc::gen::element(0.0F, 0.2F);
  if (*rc::gen::inRange(0, 4) == 0)
    sampling.logit_bias = {{*rc::gen::inRange(0, 13), 4.0F}};
  if (*rc::gen::arbitrary<bool>()) // else the model may find the tokens
    return sampling;
  sampling.frequency_penalty = *rc::gen::element(0.0F, 2.0F);
  sampling.presence_penalty = *rc::gen::element(0.0F, 0.8F);
  sampling.min_tokens = *rc::gen::inRange(0, 8);
  sampling.n_logprobs = *rc::gen::element(-1, 2);
  return sampling;
}

/// A step of one sequence from its first token on, whose draft is a tree.
planned_sequence any_rows() {
  planned_sequence rows;
  rows.pages.resize(n_pages);
  std::iota(rows.pages.begin(), rows.pages.end(), 0);
  const auto sampling = any_sampling();
  rows.sampling = std::make_shared<const sampling_params>(sampling);
  rows.tokens = any_tokens(1, 20);
  if (sampling.has_penalties()) {
    token_counts counts;
    for (const auto token : rows.tokens)
      ++counts.output[token];
    rows.counts = std::make_shared<const token_counts>(counts);
  }
  if (*rc::gen::arbitrary<bool>())
    rows.grammar.emplace(fake_grammar(*rc::gen::inRange<std::size_t>(0, n_fake_grammars)));
  rows.n_successors = *rc::gen::element(0, 0, 0, 3);
  rows.n_draft = *rc::gen::inRange(0, 12);
  const auto n_committed = rows.tokens.size();
  for (int i = 0; i < rows.n_draft; ++i) {
    rows.draft_parents.push_back(*rc::gen::inRange(-1, i));
    const auto parent =
        rows.tokens[n_committed + static_cast<std::size_t>(rows.draft_parents.back() + 1) - 1];
    const auto likely = (parent * 5 + 3) % 13; // as fake_logits has it
    rows.tokens.push_back(
        *rc::gen::weightedOneOf<token_id>({{3, rc::gen::just(likely)}, {1, rc::gen::inRange(0, 13)}}));
  }
  return rows;
}

/// What the rows have to be judged by, found without pages.
class judge {
public:
  explicit judge(const planned_sequence& rows) : rows_(rows) {
    const auto n_committed = rows.tokens.size() - static_cast<std::size_t>(rows.n_draft);
    committed_.assign(rows.tokens.begin(), rows.tokens.begin() + static_cast<std::ptrdiff_t>(n_committed));
    for (std::size_t i = 0; i < rows.draft_parents.size(); ++i)
      tree_.nodes.push_back({rows.tokens[n_committed + i], rows.draft_parents[i] + 1});
  }

  /// With what the grammar forbids behind the row's path at -inf, as logprobs are taken; all of it is allowed
  /// behind a path that does not fit.
  std::vector<float> logits(int row) const {
    auto text = committed_;
    for (const auto token : tree_.tokens_to(row))
      text.push_back(token);
    std::uint64_t hash = 0;
    for (const auto token : text)
      hash = extended(hash, token);
    std::vector<float> all(fake_vocabulary);
    fake_logits(hash, text.back(), all);
    auto cursor = rows_.grammar;
    for (const auto token : tree_.tokens_to(row))
      cursor = cursor ? cursor->after(token) : std::nullopt;
    if (cursor)
      forbid_by_grammar(*cursor, all);
    return all;
  }

  verdict decide(const acceptance_policy& policy) const {
    const uniform_coins coins{[&](const coin& which) {
      return counter_uniform(rows_.sampling->seed,
                             committed_.size() + static_cast<std::uint64_t>(which.offset), which.purpose,
                             which.index);
    }};
    return policy.decide(
        tree_, [&](int row) { return law(row); }, coins);
  }

private:
  distribution law(int row) const {
    const auto path = tree_.tokens_to(row);
    token_counts counts;
    if (rows_.counts)
      counts = *rows_.counts;
    for (const auto token : path)
      ++counts.output[token];
    auto raw = logits(row);
    const bool too_short = static_cast<int>(path.size()) < rows_.sampling->min_tokens;
    const std::vector<token_id> forbidden =
        too_short ? std::vector<token_id>{fake_end} : std::vector<token_id>{};
    return next_token_distribution(raw, *rows_.sampling, rows_.counts ? &counts : nullptr, forbidden);
  }

  const planned_sequence& rows_;
  std::vector<token_id> committed_;
  verification_tree tree_;
};

void check_a_step() {
  const auto rows = any_rows();
  const auto name =
      *rc::gen::element<std::string>("coupled", "token", "block", "traversal", "traversal", "typical");
  const auto model = std::make_shared<fake_model>(n_pages);
  step_runner runner{model, {fake_end}, name};
  step_plan plan;
  plan.sequences.push_back(rows);
  const auto result = runner.run(plan);
  RC_ASSERT(model->complaint() == "");
  const judge own{rows};
  const auto expected =
      own.decide(*make_acceptance_policy(rows.sampling->temperature == 0 ? "greedy" : name));
  const auto& outcome = result.outcomes.at(0);
  RC_ASSERT(outcome.tokens == expected.tokens);
  RC_ASSERT(outcome.rows == expected.rows);
  RC_ASSERT(outcome.n_accepted == expected.n_accepted());
  RC_ASSERT(std::ssize(outcome.successors) == (rows.n_successors > 0 ? rows.n_draft + 1 : 0));
  RC_ASSERT(outcome.logprobs.size() == (rows.sampling->n_logprobs < 0 ? 0 : outcome.tokens.size()));
  for (std::size_t i = 0; i < outcome.logprobs.size(); ++i)
    RC_ASSERT(outcome.logprobs[i].top ==
              logprobs_of(own.logits(expected.rows[i]), expected.tokens[i], rows.sampling->n_logprobs).top);
}

/// Planted bugs that it caught: the counts of a path that was left kept, or not made up for; logprobs of the
/// first rows; min_tokens by row.
RC_GTEST_PROP(StepRunner, JudgesEachRowOfATreeByItsOwnPath, ()) {
  for (int i = 0; i < 20; ++i) // one takes microseconds
    check_a_step();
}

} // namespace
} // namespace souffleur
