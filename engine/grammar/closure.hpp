// Where one can be without reading a byte.
#pragma once

#include "engine/grammar/automaton.hpp"

#include <compare>
#include <cstdint>
#include <vector>

namespace souffleur::grammar {

using stack_id = std::uint32_t; ///< the top of a return stack
inline constexpr stack_id bottom = 0;

/// A state, and what to go back to once its rule has ended.
struct place {
  state_id state = 0;
  stack_id stack = bottom;
  auto operator<=>(const place&) const = default;
};

/// What is below the top of a stack: where to go back to, with the stack that is then on top.
using stack_node = std::vector<place>;

/// Scratch space for one search at a time. Rules that are called get stacks of their own, one for each rule
/// whoever calls it; these are numbered anew in each search, from `first_fresh` on, and settled at its end.
class closure {
public:
  static constexpr stack_id first_fresh = stack_id{1} << 31;
  static constexpr std::size_t most_places = 4'096;

  explicit closure(const automaton& of) : automaton_(of), stamps_(of.size(), 0), fresh_of_(of.size(), 0) {}

  void begin();
  void add(const place& where);
  /// Follows jumps, calls and ends. `stacks` are the settled ones by number. False: there are too many
  /// places.
  bool run(const std::vector<const stack_node*>& stacks);

  /// Calls settle(node) → stack_id for each stack that is in use, those below first, and gives what reads
  /// bytes the settled numbers.
  template <class Settle>
  std::vector<place> settled(Settle settle);

  bool can_end() const { return can_end_; }
  /// So many characters may be read as a JSON string's.
  int n_plain() const { return n_plain_; }
  /// And plain text in no other way.
  bool is_exact() const { return is_exact_; }
  std::size_t n_places() const { return todo_.size(); }

private:
  void enter(const automaton::call_edge& edge, const place& from);
  std::vector<stack_id> bottom_up() const;

  const automaton& automaton_;
  std::vector<place> todo_; ///< every place found; those before n_done_ are followed
  std::vector<place> reading_;
  std::vector<stack_node> fresh_;
  std::vector<std::uint32_t> stamps_;   ///< of the search in which a rule's start got its stack
  std::vector<std::uint32_t> fresh_of_; ///< by start
  std::uint32_t stamp_ = 0;
  bool can_end_ = false;
  int n_plain_ = 0;
  bool is_exact_ = true;

  /// Open addressing; entries of earlier searches count as free.
  struct seen_entry {
    place what;
    std::uint32_t stamp = 0;
  };
  bool see(const place& where);
  std::vector<seen_entry> seen_ = std::vector<seen_entry>(64);
};

template <class Settle>
std::vector<place> closure::settled(Settle settle) {
  std::vector<stack_id> numbers(fresh_.size());
  const auto settled_number = [&](stack_id stack) {
    return stack < first_fresh ? stack : numbers[stack - first_fresh];
  };
  for (const auto i : bottom_up()) {
    auto& node = fresh_[i];
    for (auto& below : node)
      below.stack = settled_number(below.stack);
    numbers[i] = settle(node);
  }
  for (auto& where : reading_)
    where.stack = settled_number(where.stack);
  return reading_;
}

} // namespace souffleur::grammar
