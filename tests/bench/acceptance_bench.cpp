// Mean accepted tokens of each acceptance policy by kind of draft, from made-up laws, and the time of a
// decision about a chain of 4 with laws over 49,152 tokens. Prints two tables.
#include "engine/sampler.hpp"
#include "policies/acceptance_policy.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <malloc.h>
#include <random>

namespace souffleur {
namespace {

const char* const policies[] = {"greedy", "coupled", "gumbel", "token", "block", "traversal", "typical"};

/// Target and draft model after one prefix: probabilities fall as 1 / rank^1.5 in random order, and the draft
/// model's logits are off by normal noise of deviation 1.
struct two_laws {
  distribution target;
  distribution proposal;
};

distribution softmax(const std::vector<double>& logits) {
  distribution law;
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    law.tokens.push_back(static_cast<token_id>(i));
    law.probabilities.push_back(std::exp(logits[i]));
    sum += law.probabilities.back();
  }
  for (double& p : law.probabilities)
    p /= sum;
  return law;
}

two_laws make_laws(std::size_t n_vocabulary, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::vector<double> logits(n_vocabulary);
  for (std::size_t i = 0; i < n_vocabulary; ++i)
    logits[i] = -1.5 * std::log(static_cast<double>(i + 1));
  std::shuffle(logits.begin(), logits.end(), random);
  two_laws laws{softmax(logits), {}};
  std::normal_distribution<double> noise{0, 1};
  for (double& logit : logits)
    logit += noise(random);
  laws.proposal = softmax(logits);
  return laws;
}

enum class choice { most_likely, drawn, raced };

struct draft_kind {
  const char* name;
  std::vector<int> parents;
  choice how;
};

const std::vector<int> chain{0, 1, 2, 3};
const std::vector<int> tree{0, 0, 1, 1, 2, 2, 3, 3};
const draft_kind kinds[] = {{"chain, drawn", chain, choice::drawn},
                            {"chain, raced", chain, choice::raced},
                            {"chain, chosen", chain, choice::most_likely},
                            {"tree of 8, drawn", tree, choice::drawn}};

/// One draft of a kind and the laws of its rows.
struct drafted {
  verification_tree draft;
  std::vector<two_laws> rows;
};

drafted make_draft(const draft_kind& kind, std::size_t n_vocabulary, std::uint64_t seed, const coins& from) {
  drafted made;
  std::vector<distribution> left;
  const auto open_row = [&](std::uint64_t context) {
    made.rows.push_back(make_laws(n_vocabulary, context));
    left.push_back(made.rows.back().proposal);
  };
  std::vector<std::uint64_t> contexts{seed};
  open_row(seed);
  for (std::size_t i = 0; i < kind.parents.size(); ++i) {
    const auto parent = static_cast<std::size_t>(kind.parents[i]);
    const auto depth = static_cast<int>(made.draft.path(kind.parents[i]).size()) - 1;
    token_id token = most_likely(left[parent]);
    if (kind.how == choice::drawn)
      token = draw(from, {0, rng_purpose::draft, static_cast<std::uint32_t>(i)}, left[parent]);
    if (kind.how == choice::raced)
      token = from.race(depth, left[parent]);
    left[parent] = without(std::move(left[parent]), token);
    made.draft.nodes.push_back({token, kind.parents[i]});
    contexts.push_back(contexts[parent] * 1000003 + static_cast<std::uint64_t>(token) + 1);
    open_row(contexts.back());
  }
  if (kind.how == choice::drawn)
    for (const auto& row : made.rows)
      made.draft.proposals.push_back(row.proposal);
  return made;
}

int n_accepted(const acceptance_policy& policy, const drafted& what, const coins& from) {
  const auto target = [&what](int row) { return what.rows[static_cast<std::size_t>(row)].target; };
  return policy.decide(what.draft, target, from).n_accepted();
}

double median_us(const acceptance_policy& policy, const drafted& what) {
  std::vector<double> times;
  for (std::uint64_t i = 0; i < 50; ++i) {
    auto rows = what.rows;
    const auto target = [&rows](int row) { return std::move(rows[static_cast<std::size_t>(row)].target); };
    const auto start = std::chrono::steady_clock::now();
    policy.decide(what.draft, target, coins_at(i, 0));
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void print_accepted() {
  constexpr std::uint64_t n_drafts = 20000;
  std::printf("%-10s", "accepted");
  for (const auto& kind : kinds)
    std::printf("  %16s", kind.name);
  std::printf("\n");
  for (const char* name : policies) {
    const auto policy = make_acceptance_policy(name);
    std::printf("%-10s", name);
    for (const auto& kind : kinds) {
      int sum = 0;
      for (std::uint64_t seed = 0; seed < n_drafts; ++seed) {
        const auto from = coins_at(seed, 0);
        sum += n_accepted(*policy, make_draft(kind, 50, seed, from), from);
      }
      std::printf("  %16.2f", sum / static_cast<double>(n_drafts));
    }
    std::printf("\n");
  }
}

void print_times() {
  const auto chosen = make_draft(kinds[2], 49152, 1, coins_at(1, 0));
  const auto drawn = make_draft(kinds[0], 49152, 1, coins_at(1, 0));
  std::printf("\n%-10s  %16s  %16s\n", "median us", "chain, drawn", "chain, chosen");
  for (const char* name : policies) {
    const auto policy = make_acceptance_policy(name);
    std::printf("%-10s  %16.0f  %16.0f\n", name, median_us(*policy, drawn), median_us(*policy, chosen));
  }
}

} // namespace
} // namespace souffleur

int main() {
  // As in a long-lived server, whose heap does not go back to the system after every call.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  souffleur::print_accepted();
  souffleur::print_times();
}
