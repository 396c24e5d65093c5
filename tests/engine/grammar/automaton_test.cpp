#include "engine/grammar/automaton.hpp"

#include "engine/grammar/configurations.hpp"
#include "tests/engine/grammar/naive_language.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>

namespace souffleur {
namespace {

using namespace testing;
using namespace grammar;

std::shared_ptr<const automaton> compiled(const rules& of) {
  auto made = automaton::compile(of);
  return made ? std::make_shared<const automaton>(std::move(*made)) : nullptr;
}

constexpr std::size_t n_most = 6;

/// Texts that fit, their beginnings, and the same with a byte changed.
std::vector<std::string> interesting(const texts& fitting) {
  std::vector<std::string> all{"", "a", "ab", "ba", "\xC3", "<"};
  for (const auto& text : fitting) {
    for (std::size_t n = 0; n <= text.size(); ++n)
      all.push_back(text.substr(0, n));
    for (auto other = text; auto& byte : other) {
      byte = byte == 'a' ? 'b' : 'a';
      all.push_back(other);
    }
    if (all.size() > 2'000)
      break;
  }
  std::erase_if(all, [](const std::string& text) { return text.size() > n_most; });
  return all;
}

/// Looks for the end from `at`, over any byte.
bool can_be_completed(configurations& all, configuration_id at) {
  std::set<configuration_id> seen{at};
  std::vector<configuration_id> todo{at};
  while (!todo.empty() && seen.size() < 500) {
    const auto now = todo.back();
    todo.pop_back();
    if (all.can_end(now))
      return true;
    for (int byte = 0; byte < 256; ++byte)
      if (const auto next = all.after(now, static_cast<std::uint8_t>(byte));
          next != no_configuration && seen.insert(next).second)
        todo.insert(todo.begin(), next); // breadth first: what is deep may have no end
  }
  return seen.size() >= 500;
}

RC_GTEST_PROP(automaton_property, accepts_exactly_the_texts_that_the_rules_mean, ()) {
  const auto rules = any_rules();
  const auto automaton = compiled(rules);
  const naive_language language{rules, n_most};
  if (!automaton) { // left recursion, or no text at all
    RC_TAG("refused");
    return;
  }
  configurations all{automaton};
  for (const auto& text : interesting(language.of_root()))
    RC_ASSERT(all.can_end(after(all, text)) == language.of_root().contains(text));
}

RC_GTEST_PROP(automaton_property, whatever_can_be_read_can_be_completed, ()) {
  const auto rules = any_rules();
  const auto automaton = compiled(rules);
  if (!automaton)
    return;
  configurations all{automaton};
  auto at = all.start();
  for (int i = 0; i < 12; ++i) {
    RC_ASSERT(can_be_completed(all, at));
    std::vector<configuration_id> next;
    for (int byte = 0; byte < 256; ++byte)
      if (const auto one = all.after(at, static_cast<std::uint8_t>(byte)); one != no_configuration)
        next.push_back(one);
    RC_ASSERT(next.empty() == all.is_over(at));
    if (next.empty())
      return;
    at = next[static_cast<std::size_t>(*rc::gen::inRange<std::size_t>(0, next.size()))];
  }
}

RC_GTEST_PROP(automaton_property, a_text_that_fits_can_be_begun_with_every_beginning_of_it, ()) {
  const auto rules = any_rules();
  const auto automaton = compiled(rules);
  if (!automaton)
    return;
  configurations all{automaton};
  const naive_language language{rules, n_most};
  for (const auto& text : language.of_root())
    for (std::size_t n = 0; n <= text.size(); ++n)
      RC_ASSERT(after(all, text.substr(0, n)) > too_many_ways);
}

RC_GTEST_PROP(automaton_property, a_configuration_that_is_copied_goes_on_alike, ()) {
  const auto rules = any_rules();
  const auto automaton = compiled(rules);
  if (!automaton)
    return;
  configurations first{automaton};
  configurations second{automaton};
  const auto language = naive_language{rules, n_most};
  for (const auto& text : language.of_root()) {
    const auto half = text.substr(0, text.size() / 2);
    auto at = first.copied_to(second, after(first, half));
    for (const char byte : text.substr(half.size()))
      at = second.after(at, static_cast<std::uint8_t>(byte));
    RC_ASSERT(second.can_end(at));
  }
}

TEST(automaton, a_text_without_a_word_is_any_that_does_not_have_it) {
  rules of;
  of.root = of.add("root", sequence({avoiding("<ab<"), optional(bytes("<ab<!"))}));
  configurations all{compiled(of)};
  for (const auto* text : {"", "<", "<ab", "a<ab", "<<ab", "xyz<a<ab", "<ab<!", "aa<ab<!", "\xFF"})
    EXPECT_TRUE(all.can_end(after(all, text))) << text;
  for (const auto* text : {"<ab<", "<ab<a", "<ab<!!", "<ab<ab<"})
    EXPECT_FALSE(all.can_end(after(all, text))) << text;
}

TEST(automaton, left_recursion_is_refused_by_name_and_right_recursion_is_not) {
  rules left;
  left.root = left.declare("list");
  left.bodies[0] = choice({bytes("a"), sequence({call(0), bytes("a")})});
  const auto refused = automaton::compile(left);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("list"), std::string::npos);

  rules right;
  right.root = right.declare("list");
  right.bodies[0] = choice({bytes("a"), sequence({bytes("a"), call(0)})});
  configurations all{compiled(right)};
  EXPECT_TRUE(all.can_end(after(all, std::string(1000, 'a'))));
  EXPECT_LT(all.memory_bytes(), 10'000U) << "a call in the last place takes no room";
}

TEST(automaton, what_fits_nothing_is_refused) {
  rules of;
  of.root = of.declare("endless");
  of.bodies[0] = sequence({bytes("a"), call(0)});
  EXPECT_FALSE(automaton::compile(of));
}

TEST(automaton, what_is_too_large_is_refused) {
  rules of;
  auto part = repeated(one_of(character_set::all()), 0, 60'000);
  of.root = of.add("root", sequence({part, part, part, part}));
  EXPECT_FALSE(automaton::compile(of));
  of.bodies[0] = repeated(bytes("a"), 0, 70'000);
  EXPECT_FALSE(automaton::compile(of));
  of.bodies[0] = repeated(repeated(repeated(bytes("a"), 1, 1'000), 1, 1'000), 1, 1'000);
  EXPECT_TRUE(automaton::compile(of)) << "repetitions within repetitions add up, and do not multiply";
}

TEST(automaton, ambiguity_costs_a_polynomial) {
  rules of;
  of.root = of.declare("root");
  of.bodies[0] =
      choice({bytes("c"), sequence({bytes("a"), call(0), bytes("x")}),
              sequence({bytes("a"), call(0), bytes("y")}), sequence({bytes("a"), call(0), bytes("x")})});
  configurations all{compiled(of)};
  const auto at = after(all, std::string(200, 'a') + "c" + std::string(100, 'x') + std::string(99, 'y'));
  EXPECT_FALSE(all.can_end(at));
  EXPECT_TRUE(all.can_end(all.after(at, 'x')));
  EXPECT_LT(all.effort(), 100'000U);
}

} // namespace
} // namespace souffleur
