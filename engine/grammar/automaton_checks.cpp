#include "engine/grammar/automaton_checks.hpp"

#include <algorithm>

namespace souffleur::grammar {

namespace {

using states_t = std::vector<automaton::state>;

/// Spreads a property of states backwards: an end has it; a state has it that jumps to one that has it,
/// or calls one that has it and comes back to one that has it, or, if bytes count, reads a byte on its way
/// to one.
class backward_search {
public:
  backward_search(const states_t& states, bool through_bytes) : has_(states.size()) {
    users_.resize(states.size());
    for (state_id s = 0; s < states.size(); ++s) {
      for (const auto to : states[s].jumps)
        users_[to].push_back(s);
      for (const auto& [callee, back, empty] : states[s].calls) {
        users_[callee].push_back(s);
        users_[back].push_back(s);
      }
      if (through_bytes)
        for (const auto& edge : states[s].bytes)
          users_[edge.to].push_back(s);
      if (states[s].is_end)
        set(s);
    }
    while (!fresh_.empty()) {
      const auto known = fresh_.back();
      fresh_.pop_back();
      for (const auto user : users_[known])
        if (!has_[user] && follows(states[user], through_bytes))
          set(user);
    }
  }

  bool operator[](state_id s) const { return has_[s]; }

private:
  void set(state_id s) {
    has_[s] = true;
    fresh_.push_back(s);
  }

  bool follows(const automaton::state& one, bool through_bytes) const {
    return std::ranges::any_of(one.jumps, [&](state_id to) { return has_[to]; }) ||
           std::ranges::any_of(one.calls, [&](const auto& c) { return has_[c.callee] && has_[c.back]; }) ||
           (through_bytes && std::ranges::any_of(one.bytes, [&](const auto& e) { return has_[e.to]; }));
  }

  std::vector<bool> has_;
  std::vector<std::vector<state_id>> users_;
  std::vector<state_id> fresh_;
};

/// Where one can be without having read a byte: jumps, calls, and behind calls that read nothing.
std::vector<state_id> next_places(const automaton::state& one) {
  auto places = one.jumps;
  for (const auto& [callee, back, can_be_empty] : one.calls) {
    places.push_back(callee);
    if (can_be_empty)
      places.push_back(back);
  }
  return places;
}

/// Numbers of the strongly connected components (Tarjan 1972), without recursion.
class components {
public:
  explicit components(const states_t& states)
      : index_(states.size(), unseen), low_(states.size()), of_(states.size(), unseen) {
    for (state_id s = 0; s < states.size(); ++s)
      if (index_[s] == unseen)
        visit(states, s);
  }
  bool together(state_id a, state_id b) const { return of_[a] == of_[b]; }

private:
  static constexpr std::uint32_t unseen = ~std::uint32_t{0};
  struct frame {
    state_id state;
    std::vector<state_id> next;
    std::size_t n_done = 0;
  };

  void enter(const states_t& states, state_id s) {
    index_[s] = low_[s] = n_seen_++;
    open_.push_back(s);
    frames_.push_back({s, next_places(states[s])});
  }

  void visit(const states_t& states, state_id root) {
    enter(states, root);
    while (!frames_.empty()) {
      auto& top = frames_.back();
      const auto s = top.state;
      if (top.n_done < top.next.size()) {
        const auto to = top.next[top.n_done++];
        if (index_[to] == unseen)
          enter(states, to);
        else if (of_[to] == unseen)
          low_[s] = std::min(low_[s], index_[to]);
        continue;
      }
      if (low_[s] == index_[s])
        close(s);
      frames_.pop_back();
      if (!frames_.empty())
        low_[frames_.back().state] = std::min(low_[frames_.back().state], low_[s]);
    }
  }

  void close(state_id s) {
    state_id member = s;
    do {
      member = open_.back();
      open_.pop_back();
      of_[member] = s;
    } while (member != s);
  }

  std::vector<std::uint32_t> index_;
  std::vector<std::uint32_t> low_;
  std::vector<std::uint32_t> of_;
  std::vector<state_id> open_;
  std::vector<frame> frames_;
  std::uint32_t n_seen_ = 0;
};

} // namespace

void make_last_calls_jumps(states_t& states) {
  const auto just_ends = [&](state_id at) {
    for (int n_jumps = 0; n_jumps < 8; ++n_jumps) {
      const auto& one = states[at];
      if (one.is_end)
        return true;
      if (!one.bytes.empty() || !one.calls.empty() || one.jumps.size() != 1)
        return false;
      at = one.jumps.front();
    }
    return false;
  };
  for (auto& one : states)
    std::erase_if(one.calls, [&](const automaton::call_edge& edge) {
      if (!just_ends(edge.back))
        return false;
      one.jumps.push_back(edge.callee);
      return true;
    });
}

void mark_empty_calls(states_t& states) {
  const backward_search ends{states, false};
  for (auto& one : states)
    for (auto& edge : one.calls)
      edge.can_be_empty = ends[edge.callee];
}

bool drop_dead_ends(states_t& states, state_id start) {
  const backward_search lives{states, true};
  for (auto& one : states) {
    std::erase_if(one.bytes, [&](const auto& edge) { return !lives[edge.to]; });
    std::erase_if(one.jumps, [&](state_id to) { return !lives[to]; });
    std::erase_if(one.calls, [&](const auto& edge) { return !lives[edge.callee] || !lives[edge.back]; });
  }
  return lives[start];
}

void mark_other_text(states_t& states, std::optional<state_id> character) {
  const auto is_special = [](const automaton::byte_edge& edge) {
    return edge.last < 0x20 || (edge.first == edge.last && (edge.first == '"' || edge.first == '\\'));
  };
  for (state_id s = 0; s < states.size(); ++s)
    states[s].reads_other_text = s != character && !std::ranges::all_of(states[s].bytes, is_special);
}

std::optional<state_id> left_recursive_state(const states_t& states) {
  const components of{states};
  for (state_id s = 0; s < states.size(); ++s)
    for (const auto& edge : states[s].calls)
      if (of.together(s, edge.callee))
        return edge.callee;
  return std::nullopt;
}

} // namespace souffleur::grammar
