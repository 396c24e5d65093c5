#include "actors/step_runner.hpp"

#include "engine/text_ends.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <numeric>
#include <optional>

namespace souffleur {

namespace {

int n_logit_rows(const planned_sequence& rows) { return rows.samples ? rows.n_draft + 1 : 0; }
int n_committed_rows(const planned_sequence& rows) {
  return static_cast<int>(rows.tokens.size()) - rows.n_draft;
}

/// As sequence_rows has them.
std::vector<int> parents_of_rows(const planned_sequence& rows) {
  const int n_committed = n_committed_rows(rows);
  std::vector<int> parents(static_cast<std::size_t>(n_committed));
  std::iota(parents.begin(), parents.end(), -1);
  for (const int parent : rows.draft_parents)
    parents.push_back(n_committed + parent);
  return parents;
}

verification_tree tree_of(const planned_sequence& rows) {
  const auto draft = std::span{rows.tokens}.subspan(static_cast<std::size_t>(n_committed_rows(rows)));
  auto tree = chain_of(draft);
  for (std::size_t i = 0; i < rows.draft_parents.size(); ++i)
    tree.nodes[i].parent = rows.draft_parents[i] + 1;
  return tree;
}

/// Of each row with logits: what coupled_match throws there.
std::vector<token_draw> draws_of(const planned_sequence& rows) {
  const auto& sampling = *rows.sampling;
  std::vector positions{static_cast<std::uint64_t>(rows.first_position + n_committed_rows(rows))};
  for (const auto& node : tree_of(rows).nodes)
    positions.push_back(positions[static_cast<std::size_t>(node.parent)] + 1);
  std::vector<token_draw> draws;
  for (const auto position : positions)
    draws.push_back({counter_uniform(sampling.seed, position, rng_purpose::sample), sampling.temperature,
                     sampling.top_k, sampling.top_p, sampling.min_p});
  return draws;
}

/// What a row's penalties see: the draft down to it counts as if it had been output.
class path_counts {
public:
  explicit path_counts(const token_counts& committed) : counts_(committed) {}

  const token_counts& at(const std::vector<token_id>& path) {
    const auto n_common = static_cast<std::size_t>(std::ranges::mismatch(path_, path).in1 - path_.begin());
    for (; path_.size() > n_common; path_.pop_back())
      if (--counts_.output[path_.back()] == 0)
        counts_.output.erase(path_.back());
    for (; path_.size() < path.size(); path_.push_back(path[path_.size()]))
      ++counts_.output[path[path_.size()]];
    return counts_;
  }

private:
  token_counts counts_; ///< with path_
  std::vector<token_id> path_;
};

/// Where each row of a draft stands in its grammar.
class row_grammars {
public:
  row_grammars(const std::optional<grammar::grammar_cursor>& committed, const verification_tree& draft) {
    if (!committed)
      return;
    behind_.push_back(committed);
    for (const auto& node : draft.nodes) {
      const auto& before = behind_[static_cast<std::size_t>(node.parent)];
      behind_.push_back(before ? before->after(node.token) : std::nullopt);
    }
  }

  /// Forbids what may not follow. A row behind something forbidden stays as it is: it cannot be reached.
  /// False: it took too much effort.
  bool apply(int row, std::span<float> logits) const {
    if (behind_.empty() || !behind_[static_cast<std::size_t>(row)])
      return true;
    const auto mask = behind_[static_cast<std::size_t>(row)]->mask();
    if (mask)
      forbid_all_but(*mask, logits);
    return mask != nullptr;
  }

private:
  std::vector<std::optional<grammar::grammar_cursor>> behind_; ///< by row; empty: anything goes
};

double us_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

step_runner::step_runner(std::shared_ptr<language_model> model, std::vector<token_id> end_tokens,
                         const std::string& acceptance)
    : model_(std::move(model)), end_tokens_(std::move(end_tokens)), acceptance_(acceptance) {}

void step_runner::collect(const planned_sequence& rows) {
  auto& of_model = batch_.emplace_back();
  of_model = {rows.pages, rows.first_position, rows.tokens, n_logit_rows(rows), rows.n_dropped};
  of_model.wants_choices = wants_choices(rows);
  if (rows.samples && of_model.wants_choices && rows.sampling->temperature > 0)
    of_model.draws = draws_.emplace_back(draws_of(rows));
  if (!rows.draft_parents.empty())
    of_model.parents = parents_.emplace_back(parents_of_rows(rows));
  if (!rows.samples)
    return;
  if (auto& policy = policies_[policy_name(rows)]; !policy)
    policy = make_acceptance_policy(policy_name(rows));
}

step_result step_runner::run(const step_plan& plan) {
  batch_.clear();
  parents_.clear();
  draws_.clear();
  for (const auto& rows : plan.sequences)
    collect(rows);

  step_result result;
  result.step = plan.step;
  for (const auto& load : plan.loads)
    model_->load_page(load.page, {load.bytes.get(), model_->page_bytes()});
  const auto start = std::chrono::steady_clock::now();
  for (const auto& rows : plan.sequences)
    if (!rows.turns.empty())
      model_->turn(rows.turns);
  result.outcomes.resize(plan.sequences.size());
  if (!batch_.empty())
    model_->forward_each(batch_, [&](std::size_t first, std::span<const row_outputs> outputs) {
      const auto read = std::chrono::steady_clock::now();
      verify(plan, first, outputs, result.outcomes);
      result.sampling_us += us_since(read);
    });
  for (std::size_t i = 0; i < plan.sequences.size(); ++i)
    if (const auto& rows = plan.sequences[i]; !rows.draft_parents.empty())
      model_->keep(i, n_committed_rows(rows) - 1 + result.outcomes[i].rows.back());
  result.forward_us = us_since(start) - result.sampling_us;
  for (const auto& wish : plan.saves)
    result.saved.push_back(save(wish));
  return result;
}

void step_runner::rest() {
  scratch_.give_back();
  model_->rest();
}

saved_page step_runner::save(const page_save& wish) const {
  const auto bytes = std::make_shared_for_overwrite<std::byte[]>(model_->page_bytes());
  model_->save_page(wish.page, {bytes.get(), model_->page_bytes()});
  return {wish.claim, bytes, wish.ships_to};
}

std::string step_runner::policy_name(const planned_sequence& rows) const {
  const auto& of_sampled = rows.acceptance.empty() ? acceptance_ : rows.acceptance;
  return rows.sampling->temperature == 0 ? std::string{"greedy"} : of_sampled;
}

/// Whether verify() asks for nothing but a token of each row, which the model may find itself.
bool step_runner::wants_choices(const planned_sequence& rows) const {
  if (!rows.samples)
    return true;
  const auto& sampling = *rows.sampling;
  const bool is_plain = sampling.logit_bias.empty() && !rows.counts && !rows.grammar;
  const bool is_drawn_alike = sampling.temperature == 0 || policy_name(rows) == "coupled";
  return is_plain && is_drawn_alike && sampling.n_logprobs < 0 && rows.n_successors == 0 &&
         rows.n_output >= sampling.min_tokens;
}

void step_runner::verify(const step_plan& plan, std::size_t first, std::span<const row_outputs> outputs,
                         std::vector<sequence_outcome>& outcomes) {
  std::exception_ptr thrown; // to be thrown in the verifier's own thread
  std::mutex mutex;
  model_->share_out(static_cast<int>(outputs.size()), [&](int part) {
    const auto i = static_cast<std::size_t>(part);
    try {
      scratch_.lend(static_cast<std::size_t>(model_->vocabulary_size()), [&](std::span<float> scratch) {
        outcomes[first + i] = verify(plan.sequences[first + i], outputs[i], scratch);
      });
    } catch (...) {
      const std::lock_guard hold{mutex};
      thrown = std::current_exception();
    }
  });
  if (thrown)
    std::rethrow_exception(thrown);
}

sequence_outcome step_runner::verify(const planned_sequence& rows, const row_outputs& outputs,
                                     std::span<float> scratch) const {
  sequence_outcome outcome;
  outcome.id = rows.id;
  if (!rows.samples)
    return outcome;
  const auto& sampling = *rows.sampling;
  const auto vocabulary = static_cast<std::size_t>(model_->vocabulary_size());
  const auto draft = tree_of(rows);
  const auto row_logits = [&](int row) {
    return outputs.logits.subspan(static_cast<std::size_t>(row) * vocabulary, vocabulary);
  };

  std::optional<path_counts> counts;
  if (rows.counts)
    counts.emplace(*rows.counts);
  row_grammars grammars{rows.grammar, draft};
  const auto allowed_logits = [&](int row) {
    const auto raw = row_logits(row);
    std::copy(raw.begin(), raw.end(), scratch.begin());
    outcome.grammar_failed |= !grammars.apply(row, scratch);
    return scratch;
  };
  const auto target_row = [&](int row) {
    if (!outputs.choices.empty())
      return point_mass(outputs.choices[static_cast<std::size_t>(row)]);
    const auto path = draft.tokens_to(row);
    auto forbidden = ends_too_early(rows.n_output + static_cast<int>(path.size()), end_tokens_, sampling);
    if (rows.grammar && sampling.ignore_eos) // an end that does not end would be read by the grammar
      forbidden.insert(forbidden.end(), end_tokens_.begin(), end_tokens_.end());
    return next_token_distribution(allowed_logits(row), sampling, counts ? &counts->at(path) : nullptr,
                                   forbidden);
  };
  const auto coins =
      coins_at(sampling.seed, static_cast<std::uint64_t>(rows.first_position + n_committed_rows(rows)));
  for (int row = 0; row <= rows.n_draft && rows.n_successors > 0; ++row)
    outcome.successors.push_back({rows.tokens[static_cast<std::size_t>(n_committed_rows(rows) - 1 + row)],
                                  likeliest(row_logits(row), rows.n_successors)});
  auto verdict = policies_.at(policy_name(rows))->decide(draft, target_row, coins);
  outcome.n_accepted = verdict.n_accepted();
  outcome.tokens = std::move(verdict.tokens);
  outcome.rows = std::move(verdict.rows);
  if (sampling.n_logprobs >= 0)
    for (std::size_t i = 0; i < outcome.tokens.size(); ++i)
      outcome.logprobs.push_back(
          logprobs_of(rows.grammar ? allowed_logits(outcome.rows[i]) : row_logits(outcome.rows[i]),
                      outcome.tokens[i], sampling.n_logprobs));
  return outcome;
}

} // namespace souffleur
