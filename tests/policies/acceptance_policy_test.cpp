#include "policies/acceptance_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <functional>
#include <map>

using namespace souffleur;

namespace {

using sequence = std::vector<token_id>;

/// The target: a row for each prefix, some tokens impossible, reproducible from `salt`.
struct oracle {
  int n_vocabulary = 2;
  std::uint64_t salt = 0;

  distribution row(const sequence& prefix) const {
    std::uint64_t hash = salt + 1;
    const auto next = [&](std::uint64_t word) {
      hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
      return hash ^= hash >> 31;
    };
    for (const token_id token : prefix) {
      next(static_cast<std::uint64_t>(token) + 17);
    }
    distribution law;
    double sum = 0;
    for (token_id token = 0; token < n_vocabulary; ++token) {
      const auto weight = static_cast<double>(next(99) % 8);
      if (weight > 0 || (token + 1 == n_vocabulary && law.tokens.empty())) {
        law.tokens.push_back(token);
        law.probabilities.push_back(weight > 0 ? weight : 1);
        sum += law.probabilities.back();
      }
    }
    for (double& p : law.probabilities) {
      p /= sum;
    }
    return law;
  }
};

using verifier = std::function<chain_verdict(const acceptance_policy&, const sequence&,
                                             const std::function<const distribution&(int)>&,
                                             const std::function<double(int)>&)>;

chain_verdict run(const verifier& verify, const acceptance_policy& policy, const oracle& target,
                  const sequence& draft, const std::vector<double>& coins) {
  distribution row;
  return verify(
      policy, draft,
      [&](int i) -> const distribution& {
        row = target.row({draft.begin(), draft.begin() + i});
        return row;
      },
      [&](int i) { return coins.at(static_cast<std::size_t>(i)); });
}

sequence undrafted(const oracle& target, const std::vector<double>& coins) {
  sequence tokens;
  for (const double coin : coins) {
    tokens.push_back(token_at(target.row(tokens), coin));
  }
  return tokens;
}

/// Whether what is emitted, completed by undrafted decoding to draft.size() + 1 tokens, has the target's law.
/// The coins are integrated over exactly: each row's unit interval falls into one interval per token,
/// represented by its middle.
bool follows_target(const verifier& verify, const oracle& target, const sequence& draft) {
  const auto coupled = make_acceptance_policy("coupled");
  const std::size_t n_rows = draft.size() + 1;
  std::map<sequence, double> law;
  const std::function<void(const sequence&, double)> complete = [&](const sequence& tokens, double mass) {
    if (tokens.size() >= n_rows) {
      law[tokens] += mass;
      return;
    }
    const auto row = target.row(tokens);
    for (std::size_t i = 0; i < row.tokens.size(); ++i) {
      auto longer = tokens;
      longer.push_back(row.tokens[i]);
      complete(longer, mass * row.probabilities[i]);
    }
  };
  const std::function<void(std::vector<double>, double)> throw_coins = [&](const std::vector<double>& coins,
                                                                           double mass) {
    if (coins.size() == n_rows) {
      complete(run(verify, *coupled, target, draft, coins).tokens, mass);
      return;
    }
    const auto row = target.row({draft.begin(), draft.begin() + static_cast<std::ptrdiff_t>(coins.size())});
    double below = 0;
    for (const double p : row.probabilities) {
      auto more = coins;
      more.push_back(below + p / 2);
      throw_coins(more, mass * p);
      below += p;
    }
  };
  throw_coins({}, 1);
  double total = 0;
  for (const auto& [tokens, mass] : law) {
    double wanted = tokens.size() == n_rows ? 1 : 0;
    for (std::size_t i = 0; i < tokens.size() && wanted > 0; ++i) {
      const auto row = target.row({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(i)});
      const auto at = std::find(row.tokens.begin(), row.tokens.end(), tokens[i]);
      wanted *=
          at == row.tokens.end() ? 0 : row.probabilities[static_cast<std::size_t>(at - row.tokens.begin())];
    }
    if (std::abs(wanted - mass) > 1e-12) {
      return false;
    }
    total += mass;
  }
  return std::abs(total - 1) < 1e-12;
}

const verifier real = [](const auto& policy, const auto& draft, const auto& row, const auto& coin) {
  return verify_chain(policy, draft, row, coin);
};

/// Mutant: goes on after a rejected last draft and appends the bonus row's token.
const verifier bonus_after_rejection = [](const auto& policy, const auto& draft, const auto& row,
                                          const auto& coin) {
  auto verdict = verify_chain(policy, draft, row, coin);
  const int n = static_cast<int>(draft.size());
  if (n > 0 && verdict.n_accepted == n - 1 && static_cast<int>(verdict.tokens.size()) == n) {
    verdict.tokens.push_back(policy.decide(policy.plan(row(n), std::nullopt), coin(n)).token);
  }
  return verdict;
};

/// Mutant: takes every drafted token without comparing.
const verifier accept_all = [](const auto& policy, const auto& draft, const auto& row, const auto& coin) {
  const int n = static_cast<int>(draft.size());
  chain_verdict verdict{draft, n};
  verdict.tokens.push_back(policy.decide(policy.plan(row(n), std::nullopt), coin(n)).token);
  return verdict;
};

oracle any_oracle() { return {*rc::gen::inRange(2, 5), *rc::gen::arbitrary<std::uint64_t>()}; }

sequence any_draft(int n_vocabulary) {
  const auto n = *rc::gen::inRange<std::size_t>(0, 4);
  return *rc::gen::container<sequence>(n, rc::gen::inRange<token_id>(0, n_vocabulary));
}

std::vector<double> any_coins(std::size_t n) {
  std::vector<double> coins;
  for (const int k : *rc::gen::container<std::vector<int>>(n, rc::gen::inRange(0, 1000))) {
    coins.push_back((k + 0.5) / 1000);
  }
  return coins;
}

} // namespace

TEST(AcceptancePolicy, IsMadeByNameOnly) {
  for (const char* name : {"greedy", "coupled"}) {
    ASSERT_NE(make_acceptance_policy(name), nullptr);
    EXPECT_EQ(make_acceptance_policy(name)->name(), name);
  }
  EXPECT_EQ(make_acceptance_policy("Coupled"), nullptr);
  EXPECT_TRUE(make_acceptance_policy("coupled")->lossless());
  EXPECT_FALSE(make_acceptance_policy("greedy")->lossless());
}

RC_GTEST_PROP(CoupledPolicy, EmitsTheLawOfTheTargetForEveryDraft, ()) {
  const auto target = any_oracle();
  RC_ASSERT(follows_target(real, target, any_draft(target.n_vocabulary)));
}

TEST(CoupledPolicy, MutantsDoNotPassTheLawChecker) {
  int n_bonus = 0, n_accept = 0;
  for (std::uint64_t salt = 0; salt < 50; ++salt) {
    const oracle target{4, salt};
    EXPECT_TRUE(follows_target(real, target, {1, 2}));
    n_bonus += follows_target(bonus_after_rejection, target, {1, 2}) ? 0 : 1;
    n_accept += follows_target(accept_all, target, {1, 2}) ? 0 : 1;
  }
  EXPECT_GT(n_bonus, 25);
  EXPECT_GT(n_accept, 45);
}

RC_GTEST_PROP(CoupledPolicy, EmitsAPrefixOfTheUndraftedSequence, ()) {
  const auto target = any_oracle();
  const auto draft = any_draft(target.n_vocabulary);
  const auto coins = any_coins(draft.size() + 1);
  const auto verdict = run(real, *make_acceptance_policy("coupled"), target, draft, coins);
  const auto plain = undrafted(target, coins);
  RC_ASSERT(verdict.tokens.size() >= 1U);
  RC_ASSERT(verdict.tokens.size() <= draft.size() + 1);
  RC_ASSERT(static_cast<std::size_t>(verdict.n_accepted) + 1 == verdict.tokens.size());
  RC_ASSERT(std::equal(verdict.tokens.begin(), verdict.tokens.end(), plain.begin()));
  RC_ASSERT(std::equal(draft.begin(), draft.begin() + verdict.n_accepted, verdict.tokens.begin()));
}

RC_GTEST_PROP(GreedyPolicy, EmitsTheArgmaxChainWhateverTheCoins, ()) {
  const auto target = any_oracle();
  const auto draft = any_draft(target.n_vocabulary);
  const auto verdict =
      run(real, *make_acceptance_policy("greedy"), target, draft, any_coins(draft.size() + 1));
  sequence prefix;
  for (const token_id token : verdict.tokens) {
    RC_ASSERT(token == most_likely(target.row(prefix)));
    prefix.push_back(token);
  }
  const auto n = verdict.tokens.size();
  const bool stopped_rightly = n == draft.size() + 1 || draft[n - 1] != verdict.tokens.back();
  RC_ASSERT(stopped_rightly);
}

RC_GTEST_PROP(CoupledPolicy, PlansToAcceptWithTheTargetsProbability, ()) {
  const auto target = any_oracle().row({});
  const auto drafted = *rc::gen::inRange<token_id>(-1, 6);
  const auto plan = make_acceptance_policy("coupled")->plan(target, drafted);
  double wanted = 0;
  for (std::size_t i = 0; i < target.tokens.size(); ++i) {
    wanted += target.tokens[i] == drafted ? target.probabilities[i] : 0;
  }
  RC_ASSERT(plan.accept_probability == wanted);
  RC_ASSERT(plan.coupled);
}
