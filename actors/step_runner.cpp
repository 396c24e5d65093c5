#include "actors/step_runner.hpp"

#include <chrono>

namespace souffleur {

namespace {

int n_logit_rows(const planned_sequence& rows) { return rows.samples ? rows.n_draft + 1 : 0; }

double us_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

step_runner::step_runner(std::shared_ptr<language_model> model, std::vector<token_id> end_tokens,
                         const std::string& acceptance)
    : model_(std::move(model)), end_tokens_(std::move(end_tokens)), acceptance_(acceptance) {}

step_result step_runner::run(const step_plan& plan) {
  std::vector<sequence_rows> batch;
  std::size_t n_rows = 0;
  for (const auto& rows : plan.sequences) {
    batch.push_back({rows.pages, rows.first_position, rows.tokens, n_logit_rows(rows), rows.n_dropped});
    n_rows += static_cast<std::size_t>(n_logit_rows(rows));
  }
  const auto vocabulary = static_cast<std::size_t>(model_->vocabulary_size());
  if (logits_.size() < n_rows * vocabulary)
    logits_.resize(n_rows * vocabulary);
  scratch_.resize(vocabulary);

  step_result result;
  result.step = plan.step;
  for (const auto& load : plan.loads)
    model_->load_page(load.page, {load.bytes.get(), model_->page_bytes()});
  auto start = std::chrono::steady_clock::now();
  for (const auto& rows : plan.sequences)
    if (!rows.turns.empty())
      model_->turn(rows.turns);
  if (!batch.empty())
    model_->forward(batch, std::span{logits_}.first(n_rows * vocabulary));
  result.forward_us = us_since(start);

  start = std::chrono::steady_clock::now();
  std::size_t row = 0;
  for (const auto& rows : plan.sequences) {
    const auto n = static_cast<std::size_t>(n_logit_rows(rows));
    result.outcomes.push_back(verify(rows, std::span{logits_}.subspan(row * vocabulary, n * vocabulary)));
    row += n;
  }
  result.sampling_us = us_since(start);
  for (const auto& wish : plan.saves)
    result.saved.push_back(save(wish));
  return result;
}

saved_page step_runner::save(const page_save& wish) const {
  const auto bytes = std::make_shared_for_overwrite<std::byte[]>(model_->page_bytes());
  model_->save_page(wish.page, {bytes.get(), model_->page_bytes()});
  return {wish.claim, bytes};
}

const acceptance_policy& step_runner::policy_for(const planned_sequence& rows) {
  const auto& of_sampled = rows.acceptance.empty() ? acceptance_ : rows.acceptance;
  const auto name = rows.sampling->temperature == 0 ? std::string{"greedy"} : of_sampled;
  auto& policy = policies_[name];
  if (!policy)
    policy = make_acceptance_policy(name);
  return *policy;
}

sequence_outcome step_runner::verify(const planned_sequence& rows, std::span<const float> logits) {
  sequence_outcome outcome;
  outcome.id = rows.id;
  if (!rows.samples)
    return outcome;
  const auto& sampling = *rows.sampling;
  const auto vocabulary = static_cast<std::size_t>(model_->vocabulary_size());
  const int n_committed = static_cast<int>(rows.tokens.size()) - rows.n_draft;
  const auto draft = std::span{rows.tokens}.subspan(static_cast<std::size_t>(n_committed));
  const auto row_logits = [&](int row) {
    return logits.subspan(static_cast<std::size_t>(row) * vocabulary, vocabulary);
  };

  // Row i's penalties see the draft before it as if it had been output.
  token_counts counts;
  if (rows.counts)
    counts = *rows.counts;
  auto ends = end_tokens_;
  ends.insert(ends.end(), sampling.stop_token_ids.begin(), sampling.stop_token_ids.end());
  const auto target_row = [&](int row) {
    if (rows.counts && row > 0)
      ++counts.output[draft[static_cast<std::size_t>(row - 1)]];
    const auto raw = row_logits(row);
    std::copy(raw.begin(), raw.end(), scratch_.begin());
    const bool too_short = rows.n_output + row < sampling.min_tokens;
    return next_token_distribution(scratch_, sampling, rows.counts ? &counts : nullptr,
                                   too_short ? std::span<const token_id>{ends} : std::span<const token_id>{});
  };
  const auto coins = coins_at(sampling.seed, static_cast<std::uint64_t>(rows.first_position + n_committed));
  for (int row = 0; row <= rows.n_draft && rows.n_successors > 0; ++row)
    outcome.successors.push_back({rows.tokens[static_cast<std::size_t>(n_committed - 1 + row)],
                                  likeliest(row_logits(row), rows.n_successors)});
  auto verdict = policy_for(rows).decide(chain_of(draft), target_row, coins);
  outcome.n_accepted = verdict.n_accepted();
  outcome.tokens = std::move(verdict.tokens);
  if (sampling.n_logprobs >= 0)
    for (std::size_t i = 0; i < outcome.tokens.size(); ++i)
      outcome.logprobs.push_back(
          logprobs_of(row_logits(static_cast<int>(i)), outcome.tokens[i], sampling.n_logprobs));
  return outcome;
}

} // namespace souffleur
