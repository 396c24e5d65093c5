// The first three tokens of a real model, sampled with drafts and without: 20,000 draws against the exact
// law. Skipped where the model is missing.
#include "engine/model/load_model.hpp"
#include "engine/sampler.hpp"
#include "policies/acceptance_policy.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>

namespace souffleur {
namespace {

constexpr std::size_t n_tokens = 3;
constexpr int n_draws = 20'000;
using text = std::vector<token_id>;

/// Laws of the next token after a prompt and a few tokens; each is computed once.
class next_laws {
public:
  next_laws(std::shared_ptr<language_model> model, text prompt, sampling_params sampling)
      : model_(std::move(model)), prompt_(std::move(prompt)), sampling_(std::move(sampling)) {}

  const distribution& after(const text& tokens) {
    const auto found = known_.find(tokens);
    return found != known_.end() ? found->second : known_.emplace(tokens, computed(tokens)).first->second;
  }

private:
  distribution computed(const text& tokens) {
    auto all = prompt_;
    all.insert(all.end(), tokens.begin(), tokens.end());
    std::vector<page_id> pages(all.size() / page_tokens + 1);
    std::iota(pages.begin(), pages.end(), 0);
    std::vector<float> logits(static_cast<std::size_t>(model_->vocabulary_size()));
    const sequence_rows rows{pages, 0, all, 1};
    model_->forward(std::span{&rows, 1}, logits);
    return next_token_distribution(logits, sampling_, nullptr, {});
  }

  std::shared_ptr<language_model> model_;
  text prompt_;
  sampling_params sampling_;
  std::map<text, distribution> known_;
};

/// SmolLM2 as the target; as the drafter the same model, which has seen only the prompt's end and is surer.
struct speaker {
  explicit speaker(const std::shared_ptr<language_model>& model)
      : target(model, prompt, few_tokens(0.9F)),
        drafter(model, {prompt.end() - 8, prompt.end()}, few_tokens(0.7F)) {}

  static sampling_params few_tokens(float temperature) {
    sampling_params sampling;
    sampling.temperature = temperature;
    sampling.top_k = 5;
    return sampling;
  }

  /// What do people like about the sea?
  const text prompt = {1, 4093, 198, 1780, 536, 701, 702, 563, 260, 3426, 47, 2, 198, 1, 520, 9531, 198};
  next_laws target;
  next_laws drafter;
};

std::shared_ptr<language_model> smollm2() {
  const std::string path = std::string{SOUFFLEUR_MODELS} + "/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::ifstream{path})
    return nullptr;
  auto file = gguf_file::open(path);
  EXPECT_TRUE(file.ok());
  auto model = load_model(*file, {2, 16, kv_type::f32});
  EXPECT_TRUE(model.ok());
  return *model;
}

/// How a drafter finds its tokens.
enum class drafting { chosen, drawn, raced };

/// A chain up to the third token.
verification_tree draft_of(next_laws& drafter, text made, drafting how, const coins& from) {
  verification_tree draft;
  for (int i = 0; made.size() < n_tokens; ++i) {
    const auto& law = drafter.after(made);
    const auto token = how == drafting::chosen  ? most_likely(law)
                       : how == drafting::drawn ? draw(from, {i, rng_purpose::draft}, law)
                                                : from.race(i, law);
    draft.nodes.push_back({token, i});
    draft.proposals.push_back(how == drafting::drawn ? law : distribution{});
    made.push_back(token);
  }
  return draft;
}

/// One answer of three tokens by steps of draft and verdict, as the scheduler makes them.
text answer(speaker& who, const acceptance_policy& policy, drafting how, std::uint64_t seed,
            int& n_accepted) {
  text made;
  while (made.size() < n_tokens) {
    const auto from = coins_at(seed, made.size());
    const auto draft = draft_of(who.drafter, made, how, from);
    const auto law_of_row = [&](int row) {
      auto context = made;
      const auto above = draft.tokens_to(row);
      context.insert(context.end(), above.begin(), above.end());
      return who.target.after(context);
    };
    const auto verdict = policy.decide(draft, law_of_row, from);
    n_accepted += verdict.n_accepted();
    made.insert(made.end(), verdict.tokens.begin(), verdict.tokens.end());
  }
  made.resize(n_tokens);
  return made;
}

void follow(next_laws& target, const text& made, double probability, std::map<text, double>& law) {
  if (made.size() == n_tokens) {
    law[made] += probability;
    return;
  }
  const auto next = target.after(made);
  for (std::size_t i = 0; i < next.tokens.size(); ++i) {
    auto longer = made;
    longer.push_back(next.tokens[i]);
    follow(target, longer, probability * next.probabilities[i], law);
  }
}

struct goodness {
  double chi_square = 0;
  int n_free = -1; ///< degrees of freedom

  /// Standard normal where the law is right (Wilson and Hilferty 1931).
  double z() const {
    const double spread = 2.0 / (9.0 * n_free);
    return (std::cbrt(chi_square / n_free) - (1 - spread)) / std::sqrt(spread);
  }
};

/// Texts that are expected fewer than five times count as one.
goodness compare(const std::map<text, double>& law, std::map<text, int> counts) {
  goodness fit;
  double rest_expected = 0;
  double rest_counted = n_draws;
  const auto add = [&](double expected, double counted) {
    fit.chi_square += (counted - expected) * (counted - expected) / expected;
    ++fit.n_free;
  };
  for (const auto& [tokens, probability] : law) {
    const double expected = probability * n_draws;
    if (expected < 5) {
      rest_expected += expected;
      continue;
    }
    add(expected, counts[tokens]);
    rest_counted -= counts[tokens];
  }
  if (rest_expected > 0)
    add(rest_expected, rest_counted);
  return fit;
}

/// One draw in 30,000 is further out.
constexpr double most_z = 4;

goodness fit_of(speaker& who, const std::function<text(std::uint64_t)>& answer_of) {
  std::map<text, double> law;
  follow(who.target, {}, 1, law);
  std::map<text, int> counts;
  for (std::uint64_t seed = 0; seed < n_draws; ++seed)
    ++counts[answer_of(seed)];
  return compare(law, std::move(counts));
}

TEST(SpeculationLaw, OfThreeTokensOfARealModelIsThatOfPlainSamplingUnderEveryLosslessPolicy) {
  const auto model = smollm2();
  if (!model)
    GTEST_SKIP() << "the model is not there";
  speaker who{model};
  const auto plain = fit_of(who, [&](std::uint64_t seed) {
    text made;
    while (made.size() < n_tokens)
      made.push_back(draw(coins_at(seed, made.size()), {0, rng_purpose::sample}, who.target.after(made)));
    return made;
  });
  std::printf("plain: chi-square %.1f of %d, z %.2f\n", plain.chi_square, plain.n_free, plain.z());
  EXPECT_LT(plain.z(), most_z);
  for (const auto* name : {"coupled", "gumbel", "token", "block", "traversal"})
    for (const auto how : {drafting::chosen, drafting::drawn, drafting::raced}) {
      // What is raced for is given by coins that the policy looks at itself.
      if (how == drafting::raced && std::string_view{name} != "gumbel")
        continue;
      const auto policy = make_acceptance_policy(name);
      ASSERT_TRUE(policy->lossless());
      int n_accepted = 0;
      const auto fit =
          fit_of(who, [&](std::uint64_t seed) { return answer(who, *policy, how, seed, n_accepted); });
      const auto* drafts = how == drafting::chosen ? "chosen" : how == drafting::drawn ? "drawn" : "raced";
      std::printf("%s, drafts %s: chi-square %.1f of %d, z %.2f; %.2f accepted an answer\n", name, drafts,
                  fit.chi_square, fit.n_free, fit.z(), static_cast<double>(n_accepted) / n_draws);
      EXPECT_LT(fit.z(), most_z) << name << ", drafts " << drafts;
      EXPECT_GT(n_accepted, n_draws / 4) << name << ", drafts " << drafts;
    }
}

/// Accepts as rejection sampling does, then draws from the target, not from what is left of it.
class without_residual final : public acceptance_policy {
public:
  std::string_view name() const override { return "without residual"; }
  bool lossless() const override { return true; }
  std::vector<ending> plan(const verification_tree&, const target_rows&) const override { return {}; }
  verdict decide(const verification_tree& draft, const target_rows& target,
                 const coins& from) const override {
    int row = 0;
    for (; row + 1 < draft.n_rows(); ++row) {
      const auto token = draft.node(row + 1).token;
      const double q = probability_of(draft.proposal(row), token);
      const double stands = std::min(1.0, probability_of(target(row), token) / q);
      if (from.pick({row, rng_purpose::accept}, std::vector<double>{stands, 1 - stands}) != 0)
        break;
    }
    verdict result{draft.tokens_to(row), draft.path(row)};
    result.tokens.push_back(draw(from, {row, rng_purpose::sample}, target(row)));
    return result;
  }
};

TEST(SpeculationLaw, IsMissedByAPolicyThatForgetsTheResidual) {
  const auto model = smollm2();
  if (!model)
    GTEST_SKIP() << "the model is not there";
  speaker who{model};
  int n_accepted = 0;
  const auto fit = fit_of(who, [&](std::uint64_t seed) {
    return answer(who, without_residual{}, drafting::drawn, seed, n_accepted);
  });
  EXPECT_GT(fit.z(), 3 * most_z);
}

} // namespace
} // namespace souffleur
