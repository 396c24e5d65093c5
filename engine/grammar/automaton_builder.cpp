#include "engine/grammar/automaton_builder.hpp"

#include <algorithm>

namespace souffleur::grammar {

std::optional<failure> automaton_builder::build() {
  const auto n_rules = grammar_.bodies.size();
  for (std::size_t i = 0; i < n_rules; ++i) {
    starts_.push_back(new_state());
    ends_.push_back(new_state());
    states_[ends_.back()].is_end = true;
  }
  for (std::size_t i = 0; i < n_rules + inner_.size() && !failure_; ++i) {
    first_states_.push_back(static_cast<state_id>(states_.size()));
    names_.push_back(i < n_rules ? grammar_.names[i] : inner_[i - n_rules].name);
    if (i < n_rules) {
      add(grammar_.bodies[i], starts_[i], ends_[i]);
    } else {
      const auto body = std::move(inner_[i - n_rules].body); // others may be added meanwhile
      add(body, starts_[i], ends_[i]);
    }
  }
  return failure_;
}

std::string automaton_builder::name_of(state_id state) const {
  const auto known = std::ranges::find(starts_, state);
  if (const auto rule = static_cast<std::size_t>(known - starts_.begin()); rule < grammar_.names.size())
    return grammar_.names[rule];
  const auto after = std::ranges::upper_bound(first_states_, state);
  return after == first_states_.begin() ? std::string{}
                                        : names_[static_cast<std::size_t>(after - first_states_.begin()) - 1];
}

void automaton_builder::complain(std::string why) {
  if (!failure_)
    failure_ = failure{std::move(why)};
}

state_id automaton_builder::new_state() {
  if (states_.size() >= limits_.n_states)
    complain("it is too large: it takes more than " + std::to_string(limits_.n_states) + " states");
  states_.emplace_back();
  return static_cast<state_id>(states_.size()) - 1;
}

void automaton_builder::add(const expression& what, state_id from, state_id to) {
  if (failure_)
    return;
  if (++depth_ > limits_.n_nested_expressions)
    complain("it is nested more than " + std::to_string(limits_.n_nested_expressions) + " deep");
  else
    switch (what.what) {
    case expression::kind::bytes:
      add_bytes(what.text, from, to);
      break;
    case expression::kind::characters:
      add_characters(what.set, from, to);
      break;
    case expression::kind::sequence:
      add_sequence(what, from, to);
      break;
    case expression::kind::choice:
      for (const auto& part : what.parts)
        add(part, from, to);
      break;
    case expression::kind::repetition:
      add_repetition(what, from, to);
      break;
    case expression::kind::rule:
      add_call(what.callee, from, to);
      break;
    case expression::kind::avoiding:
      add_avoiding(what.text, from, to);
      break;
    }
  --depth_;
}

void automaton_builder::add_bytes(std::string_view text, state_id from, state_id to) {
  if (text.empty())
    return jump(from, to);
  for (std::size_t i = 0; i < text.size() && !failure_; ++i) {
    const auto next = i + 1 == text.size() ? to : new_state();
    const auto byte = static_cast<std::uint8_t>(text[i]);
    states_[from].bytes.push_back({byte, byte, next});
    from = next;
  }
}

void automaton_builder::add_characters(const character_set& set, state_id from, state_id to) {
  for (const auto& [first, last] : set.ranges())
    for (const auto& ranges : utf8_ranges(first, last)) {
      auto at = from;
      for (int i = 0; i < ranges.size && !failure_; ++i) {
        const auto next = i + 1 == ranges.size ? to : new_state();
        const auto& range = ranges.at[static_cast<std::size_t>(i)];
        states_[at].bytes.push_back({range.first, range.last, next});
        at = next;
      }
    }
}

void automaton_builder::add_sequence(const expression& what, state_id from, state_id to) {
  if (what.parts.empty())
    return jump(from, to);
  for (std::size_t i = 0; i < what.parts.size() && !failure_; ++i) {
    const auto next = i + 1 == what.parts.size() ? to : new_state();
    add(what.parts[i], from, next);
    from = next;
  }
}

expression automaton_builder::cheap_to_repeat(const expression& part, int n_copies) {
  const bool is_small = part.what == expression::kind::rule ||
                        (part.what == expression::kind::bytes && part.text.size() <= 1) ||
                        (part.what == expression::kind::characters && !part.set.empty() &&
                         part.set.ranges().size() <= 2 && part.set.ranges().back().last < 0x80);
  if (n_copies < 2 || is_small)
    return part;
  inner_.push_back({part, names_.back()});
  starts_.push_back(new_state());
  ends_.push_back(new_state());
  states_[ends_.back()].is_end = true;
  return call(static_cast<rule_id>(starts_.size()) - 1);
}

/// A chain of copies, from whose states beyond the least number one may leave.
void automaton_builder::add_repetition(const expression& what, state_id from, state_id to) {
  const bool has_end = what.most != unlimited;
  const int n_copies = has_end ? what.most : std::max(what.least, 1);
  if (n_copies > limits_.n_repetitions)
    return complain("it repeats something more than " + std::to_string(limits_.n_repetitions) + " times");
  if (has_end && what.most < what.least)
    return;
  const auto part = cheap_to_repeat(what.parts.front(), n_copies + (what.least > 0 && !has_end ? 1 : 0));
  const bool is_text =
      part.what == expression::kind::rule && part.callee == grammar_.json_character && part.callee >= 0;
  auto at = new_state(); // of its own: loops come back to it
  jump(from, at);
  for (int i = 0; i < n_copies && !failure_; ++i) {
    if (i >= what.least)
      jump(at, to);
    if (is_text)
      states_[at].n_plain = has_end ? n_copies - i : automaton::any_number;
    const bool loops = !has_end && i + 1 == n_copies;
    const auto next = loops && what.least <= i ? at : new_state();
    add(part, at, next);
    at = next;
    if (loops && what.least > i) { // all that is due has been read: here the loop begins
      if (is_text)
        states_[at].n_plain = automaton::any_number;
      add(part, at, at);
    }
  }
  jump(at, to);
}

/// Knuth, Morris and Pratt's automaton: state i has just read the first i bytes of `text`.
void automaton_builder::add_avoiding(std::string_view text, state_id from, state_id to) {
  std::vector<state_id> matched;
  for (std::size_t i = 0; i < text.size(); ++i) {
    matched.push_back(new_state());
    jump(matched.back(), to);
  }
  jump(from, matched.front());
  const auto longest_after = [&](std::size_t n, char byte) {
    const auto read = std::string{text.substr(0, n)} + byte;
    for (std::size_t k = std::min(read.size(), text.size()); k > 0; --k)
      if (read.ends_with(text.substr(0, k)))
        return k;
    return std::size_t{0};
  };
  for (std::size_t i = 0; i < text.size() && !failure_; ++i)
    for (int byte = 0; byte < 256; ++byte) {
      const auto n = longest_after(i, static_cast<char>(byte));
      if (n == text.size())
        continue;
      auto& edges = states_[matched[i]].bytes;
      const auto value = static_cast<std::uint8_t>(byte);
      if (!edges.empty() && edges.back().to == matched[n] && edges.back().last + 1 == byte)
        edges.back().last = value;
      else
        edges.push_back({value, value, matched[n]});
    }
}

void automaton_builder::add_call(rule_id callee, state_id from, state_id to) {
  const auto start = starts_[static_cast<std::size_t>(callee)];
  if (states_[to].is_end)
    jump(from, start);
  else
    states_[from].calls.push_back({start, to, false});
}

} // namespace souffleur::grammar
