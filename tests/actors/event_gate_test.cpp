#include "actors/event_gate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

using namespace souffleur;

namespace {

generation_delta delta_of(int first, int n, const std::string& tail) {
  generation_delta delta;
  for (int i = first; i < first + n; ++i) {
    generated_token token;
    token.id = i;
    token.text = std::to_string(i) + " ";
    delta.tokens.push_back(token);
  }
  delta.tail = tail;
  return delta;
}

/// What came through, taken down.
struct received {
  std::vector<token_id> ids;
  std::string text;
  bool ended = false;

  void take(event_gate& gate) {
    while (const auto event = gate.next()) {
      RC_ASSERT(!ended);
      if (const auto* delta = std::get_if<generation_delta>(&*event)) {
        for (const auto& token : delta->tokens)
          ids.push_back(token.id);
        text += delta->text();
      }
      ended = std::holds_alternative<generation_finished>(*event);
    }
  }
};

} // namespace

TEST(EventGate, ADeltaIsCutWhereTheGrantEndsAndItsTailComesLast) {
  event_gate gate{2};
  gate.push(generation_accepted{});
  gate.push(delta_of(0, 3, "tail"));
  EXPECT_TRUE(std::holds_alternative<generation_accepted>(*gate.next()));
  const auto first = gate.next();
  EXPECT_EQ(std::get<generation_delta>(*first).text(), "0 1 ");
  EXPECT_FALSE(gate.next());
  gate.grant(1);
  const auto rest = gate.next();
  EXPECT_EQ(std::get<generation_delta>(*rest).text(), "2 tail");
}

TEST(EventGate, TheEndWaitsForWhatComesBeforeItAndAFailureDoesToo) {
  event_gate gate{0};
  gate.push(delta_of(0, 1, ""));
  gate.push(generation_failed{});
  EXPECT_FALSE(gate.next());
  gate.grant(1);
  EXPECT_TRUE(gate.next());
  EXPECT_TRUE(std::holds_alternative<generation_failed>(*gate.next()));
}

TEST(EventGate, GrantsOfAnySizeAddUp) {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  event_gate gate{-7};
  gate.push(delta_of(0, 2, ""));
  gate.grant(-1);
  EXPECT_FALSE(gate.next());
  gate.grant(most);
  gate.grant(most);
  EXPECT_TRUE(gate.next());
}

RC_GTEST_PROP(EventGate, LetsNoMoreThroughThanWasGrantedAndAllOfItInTheEnd, ()) {
  const auto bounded = *rc::gen::arbitrary<bool>();
  auto granted = *rc::gen::inRange<std::int64_t>(0, 6);
  event_gate gate{bounded ? std::optional{granted} : std::nullopt};
  received got;
  std::string text;
  int n_made = 0;
  const auto n_steps = *rc::gen::inRange(0, 25);
  for (int i = 0; i < n_steps; ++i) {
    if (*rc::gen::arbitrary<bool>()) {
      const int n = *rc::gen::inRange(0, 5);
      const auto delta = delta_of(n_made, n, *rc::gen::element<std::string>("", "tail "));
      n_made += n;
      text += delta.text();
      gate.push(delta);
    } else {
      const auto more = *rc::gen::inRange<std::int64_t>(-2, 5);
      gate.grant(more);
      granted += std::max<std::int64_t>(more, 0);
    }
    if (*rc::gen::arbitrary<bool>())
      got.take(gate);
    RC_ASSERT((!bounded || static_cast<std::int64_t>(got.ids.size()) <= granted));
  }
  got.take(gate);
  RC_ASSERT(static_cast<std::int64_t>(got.ids.size()) ==
            (bounded ? std::min<std::int64_t>(granted, n_made) : n_made));
  gate.push(generation_finished{});
  gate.grant(n_made);
  got.take(gate);
  RC_ASSERT(got.ended);
  RC_ASSERT(got.text == text);
  for (int i = 0; i < n_made; ++i)
    RC_ASSERT(got.ids[static_cast<std::size_t>(i)] == i);
}
