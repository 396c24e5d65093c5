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
  std::vector<draft_choice> choose(std::span<const draft_candidate> candidates, const step_shape&) override {
    std::vector<draft_choice> choices;
    for (const auto& candidate : candidates) {
      const auto best = std::ranges::max_element(candidate.drafts, {}, &draft_tree::match_length);
      choices.push_back({static_cast<int>(best - candidate.drafts.begin()),
                         best == candidate.drafts.end() ? 0 : n_of(candidate, *best)});
    }
    return choices;
  }
  std::vector<int> n_asked_of_model(std::span<const draft_candidate> candidates, const step_shape&) override {
    std::vector<int> asked;
    for (const auto& candidate : candidates)
      asked.push_back(candidate.n_most_of_model);
    return asked;
  }
};

/// Spends rows on the drafted tokens that are most likely to stand, of all sequences together, as long as
/// the step's tokens per second grow: (n_decoding + sum of survival) / T(rows). Source: the batch-level
/// budget of vLLM's adaptive verification; goodput, arXiv 2406.14066. Of several drafts for one sequence it
/// takes the one that brings most beyond what its rows cost. Whatever is proposed is compared with what was
/// emitted in the end, so a drafter that was given up comes back without ever costing a row.
class adaptive_policy final : public draft_policy {
public:
  explicit adaptive_policy(const known_costs& measured)
      : cost_(measured.steps), model_cost_(measured.draft_model_passes) {}

  std::string_view name() const override { return "adaptive"; }

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
                                   const step_shape& step) override {
    auto outlook = plan(candidates, step);
    const double gain = outlook.speed * cost_.us(std::max(1, step.n_rows)) / std::max(1, step.n_decoding);
    if (gain > least_gain && gain < doubtful_gain && ++n_doubtful_ % steps_of_a_check == 0)
      return std::vector<draft_choice>(candidates.size());
    return std::move(outlook.choices);
  }

  /// As many passes as make tokens per second greatest, if that is clearly more than without. A candidate
  /// whose drafts are expected to bring more than the model's would is left out.
  std::vector<int> n_asked_of_model(std::span<const draft_candidate> candidates,
                                    const step_shape& step) override {
    const auto without = plan(candidates, step);
    double best = least_gain_of_asking * without.speed;
    std::vector<int> asked(candidates.size());
    const int n_most =
        candidates.empty()
            ? 0
            : std::ranges::max(candidates, {}, &draft_candidate::n_most_of_model).n_most_of_model;
    for (int n = 1; n <= n_most; ++n) {
      const auto with = asking(candidates, n, without, step);
      if (with.speed > best) {
        best = with.speed;
        asked = with.n_asked;
      }
    }
    for (std::size_t i = 0; i < candidates.size(); ++i)
      if (asked[i] == 0 && candidates[i].n_most_of_model > 0)
        pass_over(candidates[i], cost_.us(std::max(1, step.n_rows)));
    return asked;
  }

  void observe_model(int n_asked, const draft_tree& draft, std::span<const token_id> emitted,
                     draft_record& of_request) override {
    gain_.observe(n_asked, draft, emitted, of_request.of_model);
  }

  void model_took(const step_time& pass) override { model_cost_.observe(pass); }

  void model_measured(std::span<const step_time> passes) override { model_cost_ = step_cost{passes}; }

  void observe(const draft_tree& draft, std::span<const token_id> emitted,
               draft_record& of_request) override {
    estimate_.observe(draft, emitted, of_request);
  }

  void step_took(const step_time& step) override { cost_.observe(step); }

private:
  static constexpr double least_gain = 1.02; ///< less is not worth the doubt
  static constexpr double least_hope = 1.08;
  static constexpr double least_gain_of_asking = 1.05;
  /// Where drafts are thought to bring less than this, a step in so many is made without, so that what it
  /// costs stays known; the loss is a sixteenth of a gain of a quarter at most.
  static constexpr double doubtful_gain = 1.25;
  static constexpr int steps_of_a_check = 16;
  static constexpr int rows_of_catching_up = 32;
  static constexpr int rows_of_a_draft = 4; ///< for the price of one

  struct token {
    double worth; ///< probability that it stands, and no more than that of any before it in its draft
    std::size_t candidate;
  };
  struct valued_draft {
    int which = 0;
    std::vector<double> worths; ///< never rising, so whatever is best of them is the draft's beginning
  };
  struct step_outlook {
    std::vector<draft_choice> choices;
    std::vector<double> worths; ///< of each candidate's choice
    double speed = 0;           ///< tokens a microsecond
  };
  struct question {
    std::vector<int> n_asked;
    double speed = 0;
  };

  step_outlook plan(std::span<const draft_candidate> candidates, const step_shape& step) const {
    const int n_rows = std::max(1, step.n_rows);
    const double price = price_of_row(n_rows, step.n_decoding);
    step_outlook outlook{std::vector<draft_choice>(candidates.size()),
                         std::vector<double>(candidates.size())};
    std::vector<token> tokens;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const auto best = best_of(candidates[i], price);
      outlook.choices[i].which = best.which;
      for (const double worth : best.worths)
        tokens.push_back({worth, i});
    }
    std::ranges::stable_sort(tokens, std::ranges::greater{}, &token::worth);
    tokens.resize(n_worth_their_rows(tokens, n_rows, step.n_decoding));
    double expected = step.n_decoding;
    for (const auto& one : tokens) {
      ++outlook.choices[one.candidate].n_tokens;
      outlook.worths[one.candidate] += one.worth;
      expected += one.worth;
    }
    outlook.speed = expected / cost_.us(n_rows + static_cast<int>(tokens.size()));
    return outlook;
  }

  /// The outlook where each candidate for whom that is better is asked about, for n tokens.
  question asking(std::span<const draft_candidate> candidates, int n, const step_outlook& without,
                  const step_shape& step) const {
    question asked;
    double expected = step.n_decoding;
    int n_rows = std::max(1, step.n_rows);
    int n_sequences = 0;
    double drafting_us = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const int n_of_model = std::min(n, candidates[i].n_most_of_model);
      const double of_model = gain_.expected(n_of_model, candidates[i].record->of_model);
      const bool is_better = of_model > without.worths[i] && has_waited(candidates[i]);
      asked.n_asked.push_back(is_better ? n_of_model : 0);
      expected += is_better ? of_model : without.worths[i];
      n_rows += is_better ? n_of_model : without.choices[i].n_tokens;
      n_sequences += is_better ? 1 : 0;
      drafting_us += is_better ? share_of_reading_us(candidates[i], of_model) : 0;
    }
    drafting_us += n_sequences > 0 ? n * model_cost_.us(n_sequences) : 0;
    asked.speed = expected / (cost_.us(n_rows) + drafting_us);
    return asked;
  }

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

  /// Until the model has computed the candidate's text and can draft.
  double reading_us(const draft_candidate& candidate) const {
    if (candidate.n_behind_model <= draft_pass_rows)
      return 0;
    return candidate.n_behind_model * model_cost_.us(rows_of_catching_up) / rows_of_catching_up;
  }

  /// The steps that are still to come, with so many tokens each beside the sure one, have to earn it.
  double share_of_reading_us(const draft_candidate& candidate, double n_standing) const {
    return reading_us(candidate) / std::max(1.0, candidate.n_remaining_tokens / (1 + n_standing));
  }

  /// Whether texts will draft well for a request is not known when it begins. Who reads only after it has
  /// gone without for as long as reading takes loses no more by that than reading costs (the rule for whether
  /// to rent or to buy: Karlin et al. 1988, Competitive snoopy caching).
  bool has_waited(const draft_candidate& candidate) const {
    return candidate.record->without_model_us >= reading_us(candidate);
  }

  void pass_over(const draft_candidate& candidate, double step_us) {
    if (has_waited(candidate))
      gain_.pass_over(candidate.record->of_model);
    candidate.record->without_model_us += step_us;
  }

  step_cost cost_;
  step_cost model_cost_;
  draft_estimate estimate_;
  draft_model_gain gain_;
  unsigned n_doubtful_ = 0;
};

class off_policy final : public draft_policy {
public:
  std::string_view name() const override { return "off"; }
  int n_wished(const draft_situation&) const override { return 0; }
  std::vector<draft_choice> choose(std::span<const draft_candidate> candidates, const step_shape&) override {
    return std::vector<draft_choice>(candidates.size());
  }
  std::vector<int> n_asked_of_model(std::span<const draft_candidate> candidates, const step_shape&) override {
    return std::vector<int>(candidates.size());
  }
};

} // namespace

std::unique_ptr<draft_policy> make_draft_policy(std::string_view name, const known_costs& measured) {
  if (name == "adaptive")
    return std::make_unique<adaptive_policy>(measured);
  return make_named<draft_policy, fixed_policy, off_policy>(name);
}

} // namespace souffleur
