// Grammars as sets of texts: what they mean, for short texts, found without any automaton.
#pragma once

#include "engine/grammar/configurations.hpp"
#include "engine/grammar/expression.hpp"

#include <rapidcheck.h>

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace souffleur::testing {

using texts = std::set<std::string>;

/// All texts of at most `n_most` bytes that fit. Terminates on left recursion, too.
class naive_language {
public:
  naive_language(const grammar::rules& rules, std::size_t n_most)
      : rules_(rules), n_most_(n_most), known_(rules.bodies.size()) {
    for (bool grows = true; grows;) {
      grows = false;
      for (std::size_t i = 0; i < known_.size(); ++i) {
        auto found = of(rules.bodies[i]);
        grows = grows || found.size() > known_[i].size();
        known_[i] = std::move(found);
      }
    }
  }

  const texts& of_root() const { return known_[static_cast<std::size_t>(rules_.root)]; }

  texts of(const grammar::expression& what) const {
    using kind = grammar::expression::kind;
    switch (what.what) {
    case kind::bytes:
      return short_ones({what.text});
    case kind::characters:
      return of_characters(what.set);
    case kind::sequence: {
      texts made{""};
      for (const auto& part : what.parts)
        made = joined(made, of(part));
      return made;
    }
    case kind::choice: {
      texts made;
      for (const auto& part : what.parts)
        made.merge(of(part));
      return made;
    }
    case kind::repetition:
      return repeated(of(what.parts.front()), what.least, what.most);
    case kind::rule:
      return known_[static_cast<std::size_t>(what.callee)];
    case kind::avoiding:
      return avoiding(what.text);
    }
    return {};
  }

private:
  texts short_ones(texts all) const {
    std::erase_if(all, [&](const std::string& text) { return text.size() > n_most_; });
    return all;
  }

  static texts of_characters(const grammar::character_set& set) {
    texts made;
    for (const auto& [first, last] : set.ranges())
      for (auto c = first; c <= last && c < first + 8; ++c) // sets of the tests are small
        made.insert(grammar::utf8_of(c));
    return made;
  }

  texts joined(const texts& a, const texts& b) const {
    texts made;
    for (const auto& x : a)
      for (const auto& y : b)
        if (x.size() + y.size() <= n_most_)
          made.insert(x + y);
    return made;
  }

  texts repeated(const texts& one, int least, int most) const {
    texts made;
    texts now{""};
    for (int n = 0; most == grammar::unlimited || n <= most; ++n) {
      const auto n_before = made.size();
      if (n >= least)
        made.insert(now.begin(), now.end());
      if (n > least && made.size() == n_before)
        break;
      now = joined(now, one);
    }
    return made;
  }

  texts avoiding(const std::string& word) const {
    texts made;
    texts now{""};
    while (!now.empty()) {
      texts longer;
      for (const auto& text : now)
        if (text.find(word) == std::string::npos) {
          made.insert(text);
          for (const char c : {'a', 'b', '<'})
            if (text.size() < n_most_)
              longer.insert(text + c);
        }
      now = std::move(longer);
    }
    return made;
  }

  const grammar::rules& rules_;
  std::size_t n_most_;
  std::vector<texts> known_;
};

inline grammar::character_set any_small_set() {
  grammar::character_set set;
  set.add(U'a', U'a');
  for (const char32_t c : {U'b', U'\u00E9', U'\u20AC', U'\U0001F600'})
    if (*rc::gen::inRange(0, 3) == 0)
      set.add(c, c);
  return set;
}

inline grammar::expression any_expression(int depth, int n_rules) {
  using namespace grammar;
  const auto parts = [&] {
    std::vector<expression> made(static_cast<std::size_t>(*rc::gen::inRange(0, 4)));
    for (auto& part : made)
      part = any_expression(depth - 1, n_rules);
    return made;
  };
  switch (*rc::gen::inRange(0, depth <= 0 ? 3 : 7)) {
  case 0:
    return bytes(*rc::gen::element<std::string>("a", "b", "ab", "\xC3\xA9", "<"));
  case 1:
    return one_of(any_small_set());
  case 2:
    return call(*rc::gen::inRange(0, n_rules));
  case 3: {
    const int least = *rc::gen::inRange(0, 3);
    return repeated(any_expression(depth - 1, n_rules), least,
                    *rc::gen::arbitrary<bool>() ? unlimited : *rc::gen::inRange(least, 4));
  }
  case 4:
    return choice(parts());
  default:
    return sequence(parts());
  }
}

inline grammar::rules any_rules() {
  grammar::rules made;
  const int n_rules = *rc::gen::inRange(1, 4);
  for (int i = 0; i < n_rules; ++i)
    made.add("rule" + std::to_string(i), any_expression(3, n_rules));
  return made;
}

/// What is reached from the start; no_configuration if the text cannot begin any that fits.
inline grammar::configuration_id after(grammar::configurations& all, std::string_view text) {
  auto at = all.start();
  for (const char byte : text)
    at = all.after(at, static_cast<std::uint8_t>(byte));
  return at;
}

} // namespace souffleur::testing
