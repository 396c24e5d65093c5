// Exact laws of what acceptance policies emit: every outcome of every coin is followed.
#pragma once

#include "policies/acceptance_policy.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace souffleur::testing {

using sequence = std::vector<token_id>;
using text_law = std::map<sequence, double>;

/// Laws and probabilities are made of few numbers below 8 and summed in double.
inline constexpr double rounding = 1e-11;

inline sequence followed_by(sequence tokens, token_id token) {
  tokens.push_back(token);
  return tokens;
}

inline std::uint64_t hash_of(const sequence& tokens, std::uint64_t salt) {
  std::uint64_t hash = salt + 1;
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 29;
  };
  for (const token_id token : tokens) {
    mix(static_cast<std::uint64_t>(token) + 17);
  }
  mix(tokens.size());
  mix(salt);
  return hash;
}

/// A language model: the law of the next token after a prefix.
using next_law = std::function<distribution(const sequence&)>;

/// Laws of integer weights below 8, some of them 0, reproducible from `salt`.
inline next_law random_model(int n_vocabulary, std::uint64_t salt) {
  return [=](const sequence& prefix) {
    distribution law;
    double sum = 0;
    for (token_id token = 0; token < n_vocabulary; ++token) {
      const auto weight = static_cast<double>(hash_of(followed_by(prefix, token), salt) % 8);
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
  };
}

inline next_law certain_model(int n_vocabulary, std::uint64_t salt) {
  return [=](const sequence& prefix) {
    return point_mass(
        static_cast<token_id>(hash_of(prefix, salt) % static_cast<std::uint64_t>(n_vocabulary)));
  };
}

/// What `model` finds impossible, all alike; the model itself where nothing is.
inline next_law opposite_model(int n_vocabulary, const next_law& model) {
  return [=](const sequence& prefix) {
    const auto law = model(prefix);
    distribution other;
    for (token_id token = 0; token < n_vocabulary; ++token) {
      if (probability_of(law, token) == 0) {
        other.tokens.push_back(token);
      }
    }
    other.probabilities.assign(other.tokens.size(), 1.0 / static_cast<double>(other.tokens.size()));
    return other.tokens.empty() ? law : other;
  };
}

/// Coins that take one outcome after the other. A coin that is looked at twice is the same number twice: the
/// first look leaves an interval of it to the second.
class followed_coins final : public coins {
public:
  struct choice {
    std::size_t taken = 0;
    std::size_t n = 1;
  };

  /// Follows `script` and goes on with first choices, which it adds.
  explicit followed_coins(std::vector<choice>& script) : script_(script) {}

  std::size_t pick(const coin& which, std::span<const double> probabilities) const override {
    auto& left =
        left_.try_emplace({position_ + which.offset, which.purpose, which.index}, 0.0, 1.0).first->second;
    struct outcome {
      std::size_t index;
      double low, high;
    };
    std::vector<outcome> possible;
    double sum = 0;
    for (std::size_t i = 0; i < probabilities.size(); ++i) {
      const double low = std::max(left.first, sum);
      sum = i + 1 == probabilities.size() ? 1 : sum + probabilities[i];
      const double high = std::min(left.second, sum);
      if (high - low > 1e-14) {
        possible.push_back({i, low, high});
      }
    }
    const auto taken = possible.at(choose(possible.size()));
    mass_ *= (taken.high - taken.low) / (left.second - left.first);
    left = {taken.low, taken.high};
    return taken.index;
  }

  /// As far as each law is raced for once.
  token_id race(int offset, const distribution& law) const override {
    return law.tokens[pick({offset, rng_purpose::gumbel}, law.probabilities)];
  }

  void advance(std::size_t n_tokens) { position_ += static_cast<int>(n_tokens); }
  double mass() const { return mass_; }

private:
  std::size_t choose(std::size_t n) const {
    if (n_chosen_ == script_.size()) {
      script_.push_back({0, n});
    }
    return script_[n_chosen_++].taken;
  }

  std::vector<choice>& script_;
  int position_ = 0;
  mutable std::size_t n_chosen_ = 0;
  mutable double mass_ = 1;
  mutable std::map<std::tuple<int, rng_purpose, std::uint32_t>, std::pair<double, double>> left_;
};

/// Calls run(coins) for every outcome of the coins it looks at, then visit(probability, its result).
template <class Run, class Visit>
void for_outcomes(Run run, Visit visit) {
  std::vector<followed_coins::choice> script;
  do {
    followed_coins from{script};
    const auto result = run(from);
    visit(from.mass(), result);
    while (!script.empty() && script.back().taken + 1 == script.back().n) {
      script.pop_back();
    }
    if (!script.empty()) {
      ++script.back().taken;
    }
  } while (!script.empty());
}

/// Drafts trees of one shape, in some places less, according to what was drafted before.
struct test_drafter {
  int n_vocabulary = 2;
  std::vector<int> parents; ///< of row i + 1
  next_law proposal{};      ///< null: tokens are chosen without a coin, siblings may be the same
  std::uint64_t salt = 0;   ///< of choices, and of where to stop
  bool stops_early = false;
  enum class fault { none, drops_what_it_drew, draws_with_spent_coins } wrong = fault::none;

  int depth() const {
    std::vector<int> depths{0};
    for (const int parent : parents) {
      depths.push_back(depths[static_cast<std::size_t>(parent)] + 1);
    }
    return *std::max_element(depths.begin(), depths.end());
  }

  verification_tree draft(const sequence& prefix, const coins& from) const {
    verification_tree tree;
    std::vector<sequence> contexts{prefix};
    std::vector<distribution> left; // of each row's proposal
    const auto open_row = [&] {
      if (proposal) {
        tree.proposals.push_back(proposal(contexts.back()));
        left.push_back(tree.proposals.back());
      }
    };
    open_row();
    std::vector<int> rows{0}; // by row of the shape; -1: left out
    for (std::size_t i = 0; i < parents.size(); ++i) {
      const int parent = rows[static_cast<std::size_t>(parents[i])];
      rows.push_back(-1);
      const auto at = static_cast<std::size_t>(parent);
      if (parent < 0 || (stops_early && hash_of(contexts[at], salt + i) % 4 == 0) ||
          (proposal && left[at].tokens.empty())) {
        continue;
      }
      auto token =
          static_cast<token_id>(hash_of(contexts[at], salt + i) % static_cast<std::uint64_t>(n_vocabulary));
      if (proposal) {
        const bool spent = wrong == fault::draws_with_spent_coins;
        const auto name = spent ? coin{tree.n_rows() - 1, rng_purpose::draft}
                                : coin{0, rng_purpose::draft, static_cast<std::uint32_t>(i)};
        token = souffleur::draw(from, name, left[at]);
        left[at] = without(left[at], token);
        if (wrong == fault::drops_what_it_drew && token == 0) {
          continue;
        }
      }
      tree.nodes.push_back({token, parent});
      contexts.push_back(followed_by(contexts[at], token));
      rows.back() = tree.n_rows() - 1;
      open_row();
    }
    return tree;
  }
};

/// The target's rows of a tree after `prefix`. Throws if a row is asked for twice or before its parent.
inline target_rows rows_of(const next_law& target, const verification_tree& draft,
                           const sequence& prefix = {}) {
  return [&target, &draft, prefix,
          asked = std::vector<bool>(static_cast<std::size_t>(draft.n_rows()))](int row) mutable {
    const auto at = static_cast<std::size_t>(row);
    if (asked.at(at) || (row > 0 && !asked.at(static_cast<std::size_t>(draft.node(row).parent)))) {
      throw std::logic_error("a row is asked for twice, or before its parent");
    }
    asked[at] = true;
    auto context = prefix;
    for (const token_id token : draft.tokens_to(row)) {
      context.push_back(token);
    }
    return target(context);
  };
}

/// The law of the first `n_tokens`, where what is missing is decoded without drafts and what is more is cut.
inline text_law completed(const text_law& emitted, const next_law& target, std::size_t n_tokens) {
  text_law whole;
  const std::function<void(sequence, double)> complete = [&](sequence tokens, double mass) {
    if (tokens.size() >= n_tokens) {
      tokens.resize(n_tokens);
      whole[tokens] += mass;
      return;
    }
    const auto law = target(tokens);
    for (std::size_t i = 0; i < law.tokens.size(); ++i) {
      complete(followed_by(tokens, law.tokens[i]), mass * law.probabilities[i]);
    }
  };
  for (const auto& [tokens, mass] : emitted) {
    complete(tokens, mass);
  }
  return whole;
}

/// The law of what `n_steps` steps in a row emit.
inline text_law emitted(const acceptance_policy& policy, const next_law& target, const test_drafter& drafter,
                        int n_steps) {
  text_law law;
  for_outcomes(
      [&](followed_coins& from) {
        sequence text;
        for (int step = 0; step < n_steps; ++step) {
          const auto draft = drafter.draft(text, from);
          const auto tokens = policy.decide(draft, rows_of(target, draft, text), from).tokens;
          text.insert(text.end(), tokens.begin(), tokens.end());
          from.advance(tokens.size());
        }
        return text;
      },
      [&](double mass, const sequence& text) { law[text] += mass; });
  return law;
}

template <class Key>
bool same_law(const std::map<Key, double>& a, const std::map<Key, double>& b) {
  auto difference = a;
  for (const auto& [key, mass] : b) {
    difference[key] -= mass;
  }
  return std::all_of(difference.begin(), difference.end(),
                     [](const auto& entry) { return std::abs(entry.second) < rounding; });
}

/// Whether all that `n_steps` steps can emit has the target's law.
inline bool follows_target(const acceptance_policy& policy, const next_law& target,
                           const test_drafter& drafter, int n_steps = 1) {
  const auto n_tokens = static_cast<std::size_t>(drafter.depth()) + static_cast<std::size_t>(n_steps);
  return same_law(completed(emitted(policy, target, drafter, n_steps), target, n_tokens),
                  completed({{{}, 1}}, target, n_tokens));
}

/// Last row and last token.
using ending_law = std::map<std::pair<int, token_id>, double>;

inline ending_law law_of(const std::vector<ending>& plan) {
  ending_law law;
  for (const auto& way : plan) {
    for (std::size_t i = 0; i < way.law.tokens.size(); ++i) {
      law[{way.row, way.law.tokens[i]}] += way.probability * way.law.probabilities[i];
    }
  }
  return law;
}

inline double expected_accepted(const acceptance_policy& policy, const next_law& target,
                                const verification_tree& draft) {
  double expected = 0;
  for (const auto& way : policy.plan(draft, rows_of(target, draft))) {
    expected += way.probability * static_cast<double>(draft.path(way.row).size() - 1);
  }
  return expected;
}

/// Over all drafts.
inline double expected_accepted(const acceptance_policy& policy, const next_law& target,
                                const test_drafter& drafter) {
  double expected = 0;
  for_outcomes([&](const coins& from) { return drafter.draft({}, from); },
               [&](double mass, const verification_tree& draft) {
                 expected += mass * expected_accepted(policy, target, draft);
               });
  return expected;
}

/// Below `end`, all alike: inRange prefers the low ones while a property's cases are small.
template <class Number>
Number any_below(Number end, Number begin = 0) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(begin, end));
}

inline std::uint64_t any_salt() { return any_below<std::uint64_t>(1U << 30); }

/// A target and a drafter.
struct draft_case {
  next_law target;
  test_drafter drafter;
};

enum class drafting { chosen, drawn };

inline std::vector<int> chain_shape(int n) {
  std::vector<int> parents(static_cast<std::size_t>(n));
  std::iota(parents.begin(), parents.end(), 0);
  return parents;
}

inline next_law any_target(int n_vocabulary) {
  const auto salt = any_salt();
  return any_below(5) == 0 ? certain_model(n_vocabulary, salt) : random_model(n_vocabulary, salt);
}

/// Mostly of its own mind, sometimes certain, the target's, or opposite to it.
inline next_law any_proposal(int n_vocabulary, const next_law& target) {
  const auto salt = any_salt();
  switch (any_below(8)) {
  case 0:
    return target;
  case 1:
    return certain_model(n_vocabulary, salt);
  case 2:
    return opposite_model(n_vocabulary, target);
  default:
    return random_model(n_vocabulary, salt);
  }
}

inline draft_case any_case(std::vector<int> shape, drafting how, int max_vocabulary = 4) {
  const int n_vocabulary = any_below(max_vocabulary + 1, 2);
  const auto target = any_target(n_vocabulary);
  test_drafter drafter{n_vocabulary, std::move(shape)};
  if (how == drafting::drawn) {
    drafter.proposal = any_proposal(n_vocabulary, target);
  }
  drafter.salt = any_salt();
  drafter.stops_early = any_below(2) == 0;
  return {target, drafter};
}

inline draft_case any_chain(drafting how) { return any_case(chain_shape(any_below(4)), how); }

inline draft_case any_tree(drafting how) {
  std::vector<int> parents(static_cast<std::size_t>(any_below(6)));
  for (std::size_t row = 0; row < parents.size(); ++row) {
    parents[row] = any_below(static_cast<int>(row) + 1);
  }
  return any_case(parents, how, 3);
}

/// One draft of a drafter; the coins of drawn tokens are generated.
inline verification_tree any_draft(const test_drafter& drafter) {
  const std::uint64_t seed = any_salt();
  const uniform_coins from{[seed](const coin& which) {
    return (static_cast<double>(hash_of({which.offset, static_cast<token_id>(which.index)}, seed) >> 12) +
            0.5) *
           0x1p-52;
  }};
  return drafter.draft({}, from);
}

inline draft_case any_draft_case() {
  const auto how = *rc::gen::element(drafting::chosen, drafting::drawn);
  return any_below(2) == 0 ? any_chain(how) : any_tree(how);
}

} // namespace souffleur::testing
