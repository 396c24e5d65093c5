#include "engine/grammar/closure.hpp"

#include <algorithm>

namespace souffleur::grammar {

namespace {

std::size_t hash_of(const place& where) {
  auto x = (std::uint64_t{where.state} << 32 | where.stack) * 0x9E3779B97F4A7C15U;
  return static_cast<std::size_t>(x ^ (x >> 29));
}

} // namespace

void closure::begin() {
  ++stamp_;
  todo_.clear();
  reading_.clear();
  fresh_.clear();
  can_end_ = false;
  n_plain_ = 0;
  is_exact_ = true;
}

bool closure::see(const place& where) {
  if (seen_.size() < todo_.size() * 2 + 2) {
    auto old = std::exchange(seen_, std::vector<seen_entry>(seen_.size() * 4));
    for (const auto& entry : old)
      if (entry.stamp == stamp_)
        see(entry.what);
  }
  const auto mask = seen_.size() - 1;
  auto at = hash_of(where) & mask;
  for (; seen_[at].stamp == stamp_; at = (at + 1) & mask)
    if (seen_[at].what == where)
      return false;
  seen_[at] = {where, stamp_};
  return true;
}

void closure::add(const place& where) {
  if (see(where))
    todo_.push_back(where);
}

void closure::enter(const automaton::call_edge& edge, const place& from) {
  const bool is_new = stamps_[edge.callee] != stamp_;
  if (is_new) {
    stamps_[edge.callee] = stamp_;
    fresh_of_[edge.callee] = static_cast<std::uint32_t>(fresh_.size());
    fresh_.emplace_back();
  }
  const auto fresh = fresh_of_[edge.callee];
  fresh_[fresh].push_back({edge.back, from.stack});
  if (is_new)
    add({edge.callee, first_fresh + fresh});
  if (edge.can_be_empty)
    add({edge.back, from.stack});
}

bool closure::run(const std::vector<const stack_node*>& stacks) {
  for (std::size_t i = 0; i < todo_.size(); ++i) {
    if (todo_.size() > most_places)
      return false;
    const auto where = todo_[i];
    const auto& state = automaton_.at(where.state);
    n_plain_ = std::max(n_plain_, state.n_plain);
    is_exact_ = is_exact_ && !state.reads_other_text;
    if (!state.bytes.empty())
      reading_.push_back(where);
    for (const auto to : state.jumps)
      add({to, where.stack});
    for (const auto& edge : state.calls)
      enter(edge, where);
    if (!state.is_end)
      continue;
    if (where.stack == bottom)
      can_end_ = true;
    else if (where.stack < first_fresh) // else nothing was read: can_be_empty has seen to that
      for (const auto& below : *stacks[where.stack])
        add(below);
  }
  return true;
}

/// Numbers of the fresh stacks, each behind those that it stands on. There are no cycles: they would be left
/// recursion.
std::vector<stack_id> closure::bottom_up() const {
  std::vector<stack_id> order;
  std::vector<char> entered(fresh_.size());
  std::vector<std::pair<stack_id, std::size_t>> path; ///< a stack, and how many below it were looked at
  for (stack_id first = 0; first < fresh_.size(); ++first) {
    if (entered[first])
      continue;
    entered[first] = 1;
    path.emplace_back(first, 0);
    while (!path.empty()) {
      auto& [stack, n_done] = path.back();
      if (n_done == fresh_[stack].size()) {
        order.push_back(stack);
        path.pop_back();
        continue;
      }
      const auto below = fresh_[stack][n_done++].stack;
      if (below < first_fresh || entered[below - first_fresh])
        continue;
      entered[below - first_fresh] = 1;
      path.emplace_back(below - first_fresh, 0);
    }
  }
  return order;
}

} // namespace souffleur::grammar
