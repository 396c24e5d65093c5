// What every acceptance policy and every eviction policy must keep, as RapidCheck properties: for whoever
// writes one. They print what they checked, and the smallest case in which a law is broken. Needs RapidCheck
// and souffleur::engine.
//
//   int main() { return keeps_acceptance_laws([] { return std::make_unique<my_policy>(); }) ? 0 : 1; }
#pragma once

#include "acceptance_law.hpp"
#include "engine/kv_manager.hpp"
#include "policies/acceptance_policy.hpp"
#include "policies/eviction_policy.hpp"

#include <rapidcheck.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace souffleur::testing {

namespace detail {

/// Random sequences on a small pool, with a shadow of what each page holds.
class pool_history {
public:
  static constexpr int n_pages = 8;

  explicit pool_history(std::unique_ptr<eviction_policy> policy)
      : kv_(n_pages, std::move(policy)), held_(n_pages) {}

  void step() {
    const auto id = static_cast<sequence_id>(*rc::gen::inRange(0, 4));
    if (live_.contains(id))
      end(id);
    else
      begin(id);
    RC_ASSERT(kv_.check_integrity() == std::string{});
    for (const auto& [other, text] : live_)
      check_pages(other, text);
  }

private:
  /// A letter for each page; few of them, so that prefixes are met again.
  static std::vector<token_id> tokens_of(const std::string& text) {
    std::vector<token_id> tokens;
    for (const char letter : text)
      tokens.insert(tokens.end(), page_tokens, letter);
    return tokens;
  }

  void begin(sequence_id id) {
    std::string text;
    for (int n = *rc::gen::inRange(1, 6); n > 0; --n)
      text += static_cast<char>('a' + *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 2)));
    const auto tokens = tokens_of(text);
    const int n_found = kv_.begin(id, "", tokens) / page_tokens;
    if (!kv_.reserve(id, static_cast<int>(tokens.size()))) {
      RC_ASSERT(!live_.empty()); // else there is room, whatever the policy thinks of it
      kv_.end(id);
      return;
    }
    const auto pages = kv_.pages(id);
    for (int i = n_found; i < static_cast<int>(text.size()); ++i)
      held_[static_cast<std::size_t>(pages[static_cast<std::size_t>(i)])] =
          text.substr(0, static_cast<std::size_t>(i) + 1);
    check_pages(id, text);
    kv_.publish(id, tokens);
    live_[id] = text;
  }

  void end(sequence_id id) {
    kv_.end(id);
    live_.erase(id);
  }

  void check_pages(sequence_id id, const std::string& text) const {
    const auto pages = kv_.pages(id);
    for (std::size_t i = 0; i < text.size(); ++i)
      RC_ASSERT(held_[static_cast<std::size_t>(pages[i])] == text.substr(0, i + 1));
  }

  kv_manager kv_;
  std::vector<std::string> held_; ///< the text up to the end of each page
  std::map<sequence_id, std::string> live_;
};

inline cached_node any_node() {
  const auto any = rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::uint64_t>(0, 9));
  cached_node node;
  node.created = *any;
  node.last_used = *any;
  node.hits = *any;
  node.forks = *any;
  node.n_pages = 1;
  node.depth_pages = *rc::gen::inRange(1, 4000);
  node.age = static_cast<double>(*any);
  node.last_lookup = *any;
  return node;
}

} // namespace detail

/// That plan() is a law, that decide() follows it along a path of the draft, and, if the policy calls itself
/// lossless, that what it emits follows the target's law whatever was drafted, over one step and over two.
inline bool keeps_acceptance_laws(const policy_factory<acceptance_policy>& make) {
  bool kept = rc::check("the plan's probabilities sum to 1", [&] {
    const auto [target, drafter] = any_draft_case();
    const auto draft = any_draft(drafter);
    double sum = 0;
    for (const auto& way : make()->plan(draft, rows_of(target, draft))) {
      RC_ASSERT(way.probability >= 0);
      sum += way.probability;
    }
    RC_ASSERT(std::abs(sum - 1) < rounding);
  });
  kept &= rc::check("what is decided follows the plan, along a path of the draft", [&] {
    const auto given = any_draft_case();
    const auto draft = any_draft(given.drafter);
    const auto policy = make();
    ending_law decided;
    for_outcomes([&](const coins& from) { return policy->decide(draft, rows_of(given.target, draft), from); },
                 [&](double mass, const verdict& result) {
                   RC_ASSERT(!result.rows.empty());
                   RC_ASSERT(result.rows == draft.path(result.rows.back()));
                   RC_ASSERT(result.tokens.size() == result.rows.size());
                   decided[{result.rows.back(), result.tokens.back()}] += mass;
                 });
    RC_ASSERT(same_law(decided, law_of(policy->plan(draft, rows_of(given.target, draft)))));
  });
  if (!make()->lossless())
    return kept;
  kept &= rc::check("what is emitted follows the target's law, whatever was drafted", [&] {
    const auto [target, drafter] = any_draft_case();
    RC_ASSERT(follows_target(*make(), target, drafter));
  });
  kept &= rc::check("so it does over two steps", [&] {
    const auto shape =
        *rc::gen::element(chain_shape(1), chain_shape(2), std::vector<int>{0, 0}, std::vector<int>{0, 0, 1});
    const auto [target, drafter] = any_case(shape, *rc::gen::element(drafting::chosen, drafting::drawn), 2);
    RC_ASSERT(follows_target(*make(), target, drafter, 2));
  });
  return kept;
}

/// That keys are numbers which depend on the node alone, and that a KV pool under this policy keeps its
/// books, never takes a page from a running sequence, never finds another text than was asked for, and always
/// has room for a sequence that runs alone.
inline bool keeps_eviction_laws(const policy_factory<eviction_policy>& make) {
  bool kept = rc::check("a key is a number and depends on the node alone", [&] {
    const auto policy = make();
    const auto node = detail::any_node();
    const auto key = policy->key(node);
    RC_ASSERT(!std::isnan(key.first));
    RC_ASSERT(!std::isnan(key.second));
    policy->key(detail::any_node());
    RC_ASSERT(policy->key(node) == key);
    RC_ASSERT(make()->key(node) == key);
    RC_ASSERT(policy->queue(node) == policy->queue(node));
    RC_ASSERT(!std::isnan(policy->worth(node, node.last_lookup + 1)));
  });
  kept &= rc::check("a pool under this policy is sound", [&] {
    detail::pool_history history{make()};
    for (int n = *rc::gen::inRange(0, 60); n > 0; --n)
      history.step();
  });
  return kept;
}

} // namespace souffleur::testing
