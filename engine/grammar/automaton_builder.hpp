// Translates expressions into states (Thompson's construction, with calls).
#pragma once

#include "engine/grammar/automaton.hpp"

#include <optional>
#include <string>
#include <vector>

namespace souffleur::grammar {

class automaton_builder {
public:
  /// Both must outlive this.
  automaton_builder(const rules& grammar, const automaton_limits& limits)
      : grammar_(grammar), limits_(limits) {}

  /// Makes states() and start(), or says which limit was met.
  std::optional<failure> build();
  std::vector<automaton::state>& states() { return states_; }
  state_id start() const { return starts_[static_cast<std::size_t>(grammar_.root)]; }
  /// Nothing: there is no such rule.
  std::optional<state_id> start_of(rule_id rule) const {
    return rule < 0 ? std::nullopt : std::optional{starts_[static_cast<std::size_t>(rule)]};
  }
  /// Of the rule that the state belongs to.
  std::string name_of(state_id state) const;

private:
  state_id new_state();
  void add(const expression& what, state_id from, state_id to);
  void add_bytes(std::string_view text, state_id from, state_id to);
  void add_characters(const character_set& set, state_id from, state_id to);
  void add_sequence(const expression& what, state_id from, state_id to);
  void add_repetition(const expression& what, state_id from, state_id to);
  void add_avoiding(std::string_view text, state_id from, state_id to);
  void add_call(rule_id callee, state_id from, state_id to);
  void jump(state_id from, state_id to) { states_[from].jumps.push_back(to); }
  /// What is repeated often gets a rule, so that a copy of it is one call.
  expression cheap_to_repeat(const expression& part, int n_copies);
  void complain(std::string why);

  const rules& grammar_;
  const automaton_limits& limits_;
  std::vector<automaton::state> states_;
  std::vector<state_id> starts_; ///< by rule
  std::vector<state_id> ends_;
  std::vector<state_id> first_states_; ///< by order of translation: where a rule's own states begin
  std::vector<std::string> names_;     ///< the same
  struct inner_rule {
    expression body;
    std::string name; ///< of the rule that it is a part of
  };
  std::vector<inner_rule> inner_; ///< that stand for repeated parts
  int depth_ = 0;
  std::optional<failure> failure_;
};

} // namespace souffleur::grammar
