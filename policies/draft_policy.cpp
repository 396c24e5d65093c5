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

class fixed_policy final : public draft_policy {
public:
  std::string_view name() const override { return "fixed"; }
  int n_wished(const draft_situation& now) const override { return cap(now); }
  std::vector<int> n_planned(std::span<const draft_candidate> drafts, const step_shape&) const override {
    std::vector<int> all;
    for (const auto& one : drafts)
      all.push_back(one.n_most);
    return all;
  }
};

/// Spends rows on the drafted tokens that are most likely to stand, of all sequences together, as long as
/// the step's tokens per second grow: (n_decoding + sum of survival) / T(rows). Source: the batch-level
/// budget of vLLM's adaptive verification; goodput, arXiv 2406.14066. A request whose drafts get no row for
/// long is tried again with one token, where that costs little.
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

  std::vector<int> n_planned(std::span<const draft_candidate> drafts, const step_shape& step) const override {
    struct token {
      double survival;
      std::size_t draft;
    };
    std::vector<token> tokens;
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      if (drafts[i].n_most == 0)
        continue;
      const auto survival = estimate_.survival(*drafts[i].draft, *drafts[i].record);
      for (int t = 0; t < drafts[i].n_most; ++t)
        tokens.push_back({survival[static_cast<std::size_t>(t)], i});
    }
    // Survival never rises along a draft, so whatever is taken from the front is its beginning.
    std::ranges::stable_sort(tokens, std::ranges::greater{}, &token::survival);
    const int n_rows = std::max(1, step.n_rows);
    double expected = step.n_decoding;
    double best = least_gain * expected / cost_.us(n_rows);
    std::size_t n_best = 0;
    for (std::size_t n = 1; n <= tokens.size(); ++n) {
      expected += tokens[n - 1].survival;
      const double speed = expected / cost_.us(n_rows + static_cast<int>(n));
      if (speed > best) {
        best = speed;
        n_best = n;
      }
    }
    std::vector<int> planned(drafts.size());
    for (std::size_t n = 0; n < n_best; ++n)
      ++planned[tokens[n].draft];
    probe(drafts, n_rows + static_cast<int>(n_best), planned);
    return planned;
  }

  void verified(const draft_tree& draft, int n_verified, int n_accepted, draft_record& of_request) override {
    estimate_.verified(draft, n_verified, n_accepted, of_request);
  }

  void step_took(const step_time& step) override { cost_.observe(step); }

private:
  static constexpr double least_gain = 1.02; ///< less is not worth the doubt
  static constexpr double least_hope = 1.08;
  static constexpr int steps_between_probes = 32;
  static constexpr double largest_probe_cost = 1.2;

  void probe(std::span<const draft_candidate> drafts, int n_rows, std::vector<int>& planned) const {
    bool is_cheap = cost_.us(n_rows + 1) <= largest_probe_cost * cost_.us(n_rows);
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      auto& waits = drafts[i].record->n_steps_without;
      if (planned[i] > 0 || drafts[i].n_most == 0)
        continue;
      if (++waits < steps_between_probes || !is_cheap)
        continue;
      planned[i] = 1;
      is_cheap = false; // one in a step
    }
  }

  step_cost cost_;
  draft_estimate estimate_;
};

class off_policy final : public draft_policy {
public:
  std::string_view name() const override { return "off"; }
  int n_wished(const draft_situation&) const override { return 0; }
  std::vector<int> n_planned(std::span<const draft_candidate> drafts, const step_shape&) const override {
    return std::vector<int>(drafts.size());
  }
};

} // namespace

std::unique_ptr<draft_policy> make_draft_policy(std::string_view name, std::span<const step_time> measured) {
  if (name == "adaptive")
    return std::make_unique<adaptive_policy>(measured);
  return make_named<draft_policy, fixed_policy, off_policy>(name);
}

} // namespace souffleur
