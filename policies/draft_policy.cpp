#include "policies/draft_policy.hpp"

#include "policies/named.hpp"

#include <algorithm>
#include <cstddef>

namespace souffleur {
namespace {

/// The last token of an answer needs no draft: the verifying row brings one of its own.
int cap(const draft_situation& now) {
  return std::max(0, std::min(now.max_draft_tokens, now.n_remaining_tokens - 1));
}

int n_of(const draft_candidate& candidate, const draft_tree& draft) {
  return std::min(candidate.n_most, static_cast<int>(draft.nodes.size()));
}

/// All of the draft with the longest match; of equals the first.
class fixed_policy final : public draft_policy {
public:
  std::string_view name() const override { return "fixed"; }
  int n_wished(const draft_situation& now) const override { return cap(now); }
  std::vector<draft_choice> choose(std::span<const draft_candidate> candidates,
                                   const step_shape&) const override {
    std::vector<draft_choice> choices;
    for (const auto& candidate : candidates) {
      const auto best = std::ranges::max_element(candidate.drafts, {}, &draft_tree::match_length);
      choices.push_back({static_cast<int>(best - candidate.drafts.begin()),
                         best == candidate.drafts.end() ? 0 : n_of(candidate, *best)});
    }
    return choices;
  }
};

/// Spends rows on the drafted tokens that are most likely to stand, of all sequences together, as long as
/// the step's tokens per second grow: (n_decoding + sum of survival) / T(rows). Source: the batch-level
/// budget of vLLM's adaptive verification; goodput, arXiv 2406.14066. Of several drafts for one sequence it
/// takes the one that brings most beyond what its rows cost. Whatever is proposed is compared with what was
/// emitted in the end, so a drafter that was given up comes back without ever costing a row.
class adaptive_policy final : public draft_policy {
public:
  explicit adaptive_policy(std::span<const step_time> measured) : cost_(measured) {}

  std::string_view name() const override { return "adaptive"; }
  bool counts_costs() const override { return true; }

  /// Nothing where even drafts that are sure to stand would bring little: asking costs something, too.
  int n_wished(const draft_situation& now) const override {
    const int n_rows = std::max(1, now.n_rows);
    const double without = n_rows / cost_.us(n_rows);
    for (int n = 1; n <= cap(now); ++n)
      if ((n_rows + n) / cost_.us(n_rows + n) > least_hope * without)
        return cap(now);
    return 0;
  }

  std::vector<draft_choice> choose(std::span<const draft_candidate> candidates,
                                   const step_shape& step) const override {
    const int n_rows = std::max(1, step.n_rows);
    const double price = price_of_row(n_rows, step.n_decoding);
    std::vector<draft_choice> choices(candidates.size());
    std::vector<token> tokens;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const auto best = best_of(candidates[i], price);
      choices[i].which = best.which;
      for (const double worth : best.worths)
        tokens.push_back({worth, i});
    }
    std::ranges::stable_sort(tokens, std::ranges::greater{}, &token::worth);
    for (std::size_t n = n_worth_their_rows(tokens, n_rows, step.n_decoding); n > 0; --n)
      ++choices[tokens[n - 1].candidate].n_tokens;
    return choices;
  }

  void observe(const draft_tree& draft, std::span<const token_id> emitted,
               draft_record& of_request) override {
    estimate_.observe(draft, emitted, of_request);
  }

  void step_took(const step_time& step) override { cost_.observe(step); }

private:
  static constexpr double least_gain = 1.02; ///< less is not worth the doubt
  static constexpr double least_hope = 1.08;
  static constexpr int rows_of_a_draft = 4; ///< for the price of one

  struct token {
    double worth; ///< probability that it stands, and no more than that of any before it in its draft
    std::size_t candidate;
  };
  struct valued_draft {
    int which = 0;
    std::vector<double> worths; ///< never rising, so whatever is best of them is the draft's beginning
  };

  /// In tokens that the step without it makes in the same time.
  double price_of_row(int n_rows, int n_decoding) const {
    const double more_us = cost_.us(n_rows + rows_of_a_draft) - cost_.us(n_rows);
    return more_us / rows_of_a_draft * n_decoding / cost_.us(n_rows);
  }

  valued_draft best_of(const draft_candidate& candidate, double price) const {
    valued_draft best;
    double most = 0;
    for (std::size_t which = 0; which < candidate.drafts.size(); ++which) {
      const auto& draft = candidate.drafts[which];
      auto worths = estimate_.survival(draft, *candidate.record);
      worths.resize(static_cast<std::size_t>(n_of(candidate, draft)));
      double least = 1;
      double gain = 0;
      for (auto& worth : worths) {
        worth = least = std::min(least, worth);
        gain += std::max(0.0, worth - price);
      }
      if (gain > most || best.worths.empty()) {
        most = gain;
        best = {static_cast<int>(which), std::move(worths)};
      }
    }
    return best;
  }

  /// How many of the tokens, which come in descending order, make the step's speed greatest.
  std::size_t n_worth_their_rows(std::span<const token> tokens, int n_rows, int n_decoding) const {
    double expected = n_decoding;
    double best = least_gain * expected / cost_.us(n_rows);
    std::size_t n_best = 0;
    for (std::size_t n = 1; n <= tokens.size(); ++n) {
      expected += tokens[n - 1].worth;
      const double speed = expected / cost_.us(n_rows + static_cast<int>(n));
      if (speed > best) {
        best = speed;
        n_best = n;
      }
    }
    return n_best;
  }

  step_cost cost_;
  draft_estimate estimate_;
};

class off_policy final : public draft_policy {
public:
  std::string_view name() const override { return "off"; }
  int n_wished(const draft_situation&) const override { return 0; }
  std::vector<draft_choice> choose(std::span<const draft_candidate> candidates,
                                   const step_shape&) const override {
    return std::vector<draft_choice>(candidates.size());
  }
};

} // namespace

std::unique_ptr<draft_policy> make_draft_policy(std::string_view name, std::span<const step_time> measured) {
  if (name == "adaptive")
    return std::make_unique<adaptive_policy>(measured);
  return make_named<draft_policy, fixed_policy, off_policy>(name);
}

} // namespace souffleur
