// A grammar as a pushdown automaton over bytes.
#pragma once

#include "engine/grammar/expression.hpp"
#include "engine/result.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace souffleur::grammar {

using state_id = std::uint32_t;

/// How much a client may ask for. What is beyond is refused by name.
struct automaton_limits {
  std::size_t n_states = 200'000;
  int n_repetitions = 65'536;
  int n_nested_expressions = 1'000;
};

/// Nondeterministic. Each rule has a start and an end; a call goes to a rule's start and, once its end is
/// reached, back. A call in a rule's last place is a plain jump, so that lists that are written as recursion
/// take no room.
///
/// Invariants: from every state that is left an end can be reached, so whatever is read can be completed;
/// no rule calls itself before it has read a byte.
class automaton {
public:
  struct byte_edge {
    std::uint8_t first = 0;
    std::uint8_t last = 0;
    state_id to = 0;
  };
  struct call_edge {
    state_id callee = 0; ///< its start
    state_id back = 0;
    bool can_be_empty = false; ///< the callee may read nothing
  };
  struct state {
    std::vector<byte_edge> bytes;
    std::vector<state_id> jumps;
    std::vector<call_edge> calls;
    bool is_end = false;
    int n_plain = 0; ///< so many characters of JSON strings may be read from here on; `any_number`: no limit
    /// Reads what a JSON string has as it is, and not as such a string's next character.
    bool reads_other_text = false;
  };
  static constexpr int any_number = std::numeric_limits<int>::max();

  /// Fails on a grammar without texts, on left recursion and beyond the limits.
  static result<automaton> compile(const rules& grammar, const automaton_limits& limits = {});

  const state& at(state_id id) const { return states_[id]; }
  state_id start() const { return start_; }
  std::size_t size() const { return states_.size(); }
  /// Bytes of one class are alike to every state.
  std::uint8_t class_of(std::uint8_t byte) const { return classes_[byte]; }
  int n_classes() const { return n_classes_; }
  /// Any byte of the class.
  std::uint8_t example_of(int byte_class) const { return examples_[static_cast<std::size_t>(byte_class)]; }
  std::size_t memory_bytes() const;

private:
  void divide_bytes();

  std::vector<state> states_;
  state_id start_ = 0;
  std::array<std::uint8_t, 256> classes_{};
  std::vector<std::uint8_t> examples_;
  int n_classes_ = 0;
};

} // namespace souffleur::grammar
