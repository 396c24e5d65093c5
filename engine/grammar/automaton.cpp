#include "engine/grammar/automaton.hpp"

#include "engine/grammar/automaton_builder.hpp"
#include "engine/grammar/automaton_checks.hpp"

#include <bitset>

namespace souffleur::grammar {

result<automaton> automaton::compile(const rules& grammar, const automaton_limits& limits) {
  automaton_builder builder{grammar, limits};
  if (auto why = builder.build())
    return std::move(*why);
  make_last_calls_jumps(builder.states());
  mark_empty_calls(builder.states());
  if (!drop_dead_ends(builder.states(), builder.start()))
    return failure{"no text at all fits it"};
  if (const auto rule = left_recursive_state(builder.states()))
    return failure{"rule \"" + builder.name_of(*rule) + "\" begins with itself (left recursion)"};
  mark_other_text(builder.states(), builder.start_of(grammar.json_character));
  automaton made;
  made.states_ = std::move(builder.states());
  made.start_ = builder.start();
  made.divide_bytes();
  return made;
}

void automaton::divide_bytes() {
  std::bitset<257> borders;
  borders.set(0);
  for (const auto& one : states_)
    for (const auto& edge : one.bytes) {
      borders.set(edge.first);
      borders.set(static_cast<std::size_t>(edge.last) + 1);
    }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (borders[byte]) {
      examples_.push_back(static_cast<std::uint8_t>(byte));
      n_classes_ = static_cast<int>(examples_.size());
    }
    classes_[byte] = static_cast<std::uint8_t>(n_classes_ - 1);
  }
}

std::size_t automaton::memory_bytes() const {
  std::size_t n_bytes = states_.size() * sizeof(state);
  for (const auto& one : states_)
    n_bytes += one.bytes.size() * sizeof(byte_edge) + one.jumps.size() * sizeof(state_id) +
               one.calls.size() * sizeof(call_edge);
  return n_bytes;
}

} // namespace souffleur::grammar
