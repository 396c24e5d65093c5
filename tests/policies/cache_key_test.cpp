#include "policies/cache_key.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>

using namespace souffleur;

namespace {

std::string any_text() {
  return *rc::gen::container<std::string>(rc::gen::element('a', 'b', ' ', '"', '{', '\n', '`', '\0'));
}

std::vector<token_id> any_tokens() {
  return *rc::gen::container<std::vector<token_id>>(rc::gen::inRange(0, 4));
}

/// Another small number.
template <class T>
void change(T& number) {
  number += static_cast<T>(*rc::gen::inRange(1, 4));
}

void change(std::string& text) { text += *rc::gen::element('a', ' ', '\0'); }
void change(std::vector<token_id>& tokens) { tokens.push_back(*rc::gen::inRange(10, 14)); }

struct field {
  const char* name;
  std::function<void(cache_subject&)> change;
  bool is_the_question = false; ///< the text of the last turn, and what the model gets
  bool greedy_ignores = false;
};

/// Every field that can change an answer, changed so that it does.
const std::vector<field>& fields() {
  static const std::vector<field> all = {
      {"tenant", [](auto& s) { change(s.tenant); }},
      {"model", [](auto& s) { change(s.model); }},
      {"temperature", [](auto& s) { change(s.sampling.temperature); }},
      {"top_k", [](auto& s) { change(s.sampling.top_k); }, false, true},
      {"top_p", [](auto& s) { change(s.sampling.top_p); }, false, true},
      {"min_p", [](auto& s) { change(s.sampling.min_p); }, false, true},
      {"repetition_penalty", [](auto& s) { change(s.sampling.repetition_penalty); }},
      {"presence_penalty", [](auto& s) { change(s.sampling.presence_penalty); }},
      {"frequency_penalty", [](auto& s) { change(s.sampling.frequency_penalty); }},
      {"logit_bias", [](auto& s) { s.sampling.logit_bias.emplace_back(*rc::gen::inRange(10, 14), 1.5); }},
      {"seed", [](auto& s) { change(s.sampling.seed); }, false, true},
      {"acceptance", [](auto& s) { change(s.sampling.acceptance); }, false, true},
      {"n_logprobs", [](auto& s) { change(s.sampling.n_logprobs); }},
      {"max_tokens", [](auto& s) { change(s.sampling.max_tokens); }},
      {"min_tokens", [](auto& s) { change(s.sampling.min_tokens); }},
      {"max_thinking_tokens", [](auto& s) { change(s.sampling.max_thinking_tokens); }},
      {"ignore_eos", [](auto& s) { s.sampling.ignore_eos = !s.sampling.ignore_eos; }},
      {"stop", [](auto& s) { s.sampling.stop.push_back(any_text() + "new"); }},
      {"stop_token_ids", [](auto& s) { change(s.sampling.stop_token_ids); }},
      {"n_sinks", [](auto& s) { change(s.n_sinks); }},
      {"n_window", [](auto& s) { change(s.n_window); }},
      {"tools", [](auto& s) { change(s.tools); }},
      {"response_format", [](auto& s) { change(s.response_format); }},
      {"a turn more",
       [](auto& s) {
         s.turns.insert(s.turns.begin(), {"user", any_text(), ""});
       }},
      {"last role", [](auto& s) { change(s.turns.back().role); }},
      {"last extra", [](auto& s) { change(s.turns.back().extra); }},
      {"earlier text", [](auto& s) { change(s.turns.front().text); }},
      {"earlier role", [](auto& s) { change(s.turns.front().role); }},
      {"question", [](auto& s) { change(s.turns.back().text); }, true},
      {"tokens", [](auto& s) { change(s.prompt); }, true},
  };
  return all;
}

cache_subject any_subject() {
  cache_subject s;
  s.tenant = any_text();
  s.model = any_text();
  s.sampling.temperature = *rc::gen::element(0.0, 0.5);
  s.sampling.top_k = *rc::gen::inRange(0, 3);
  s.sampling.seed = *rc::gen::inRange<std::uint64_t>(0, 3);
  s.sampling.acceptance = any_text();
  s.sampling.stop =
      *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>("", "a", "b"));
  s.sampling.stop_token_ids = any_tokens();
  for (const auto token : any_tokens())
    s.sampling.logit_bias.emplace_back(token, *rc::gen::element(0.0, 1.0, -1.0));
  s.tools = any_text();
  s.response_format = any_text();
  s.turns.resize(*rc::gen::inRange<std::size_t>(2, 4));
  for (auto& turn : s.turns)
    turn = {any_text(), any_text(), any_text()};
  s.prompt = any_tokens();
  return s;
}

} // namespace

// C1. Planted bugs that it caught: the tenant, roles or earlier turns left out; a greedy seed kept.
RC_GTEST_PROP(CacheKey, ChangesWithEveryFieldThatCanChangeTheAnswer, ()) {
  const auto subject = any_subject();
  const auto& changed = *rc::gen::elementOf(fields());
  auto other = subject;
  changed.change(other);
  RC_LOG() << changed.name << '\n';
  const bool matters = !changed.greedy_ignores || subject.sampling.temperature != 0;
  RC_ASSERT((key_of(subject).exact != key_of(other).exact) == matters);
  RC_ASSERT((key_of(subject).partition != key_of(other).partition) == (matters && !changed.is_the_question));
}

// C1.
RC_GTEST_PROP(CacheKey, KnowsWhereAFieldEnds, ()) {
  auto subject = any_subject();
  std::vector<std::string*> texts = {&subject.tenant, &subject.model, &subject.tools,
                                     &subject.response_format};
  for (auto& turn : subject.turns)
    for (auto* text : {&turn.role, &turn.extra, &turn.text})
      texts.push_back(text);
  const auto i = *rc::gen::inRange<std::size_t>(0, texts.size() - 1);
  texts[i + 1]->insert(0, "x");
  const auto before = key_of(subject);
  texts[i]->push_back('x');
  texts[i + 1]->erase(0, 1);
  RC_ASSERT(key_of(subject).exact != before.exact);
}

// C1. Planted bug that it caught: stop strings as they came.
RC_GTEST_PROP(CacheKey, DoesNotChangeWithWhatChangesNoAnswer, ()) {
  const auto subject = any_subject();
  auto other = subject;
  auto& sampling = other.sampling;
  std::reverse(sampling.stop.begin(), sampling.stop.end());
  sampling.stop.emplace_back();
  sampling.stop_token_ids.insert(sampling.stop_token_ids.end(), subject.sampling.stop_token_ids.begin(),
                                 subject.sampling.stop_token_ids.end());
  sampling.logit_bias.insert(sampling.logit_bias.begin(), {7, 0.0});
  if (sampling.top_k == 0)
    sampling.top_k = -1;
  RC_ASSERT(key_of(subject).exact == key_of(other).exact);
  RC_ASSERT(key_of(subject).partition == key_of(other).partition);
}

// C1.
RC_GTEST_PROP(CacheKey, CanonicalSamplingStaysAsItIs, ()) {
  const auto once = canonical(any_subject().sampling);
  RC_ASSERT(canonical(once) == once);
}

// C1. Planted bug that it caught: blanks before a fence kept, and others not.
RC_GTEST_PROP(CanonicalText, StaysAsItIs, ()) {
  const auto text = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "a", "B", " ", "\n", "\t", "`", "```", "\u2019", "\u00A0", "\u2026", "\xe2", "\x80", "\xc2"));
  std::string joined;
  for (const auto& piece : text)
    joined += piece;
  const auto once = canonical_text(joined);
  RC_ASSERT(canonical_text(once) == once);
}

TEST(CanonicalText, SmoothsWhatNoReaderSees) {
  EXPECT_EQ(canonical_text("  What\tis \r\n this?\n"), "What is this?");
  EXPECT_EQ(canonical_text("\u201CWhat\u2019s up\u201D \u2014 he\u00A0said\u2026"),
            "\"What's up\" - he said...");
  EXPECT_EQ(canonical_text("Fix  this:\n```if x:\n    y = \u201Ca\u201D```\n\nnow"),
            "Fix this: ```if x:\n    y = \u201Ca\u201D``` now");
  EXPECT_EQ(canonical_text("na\u00EFve \u4ECA\u5929"), "na\u00EFve \u4ECA\u5929");
  EXPECT_EQ(canonical_text(" \n "), "");
}

TEST(CacheKey, AQuestionIsComparedInItsPartitionOnly) {
  cache_subject subject;
  subject.turns = {{"user", " What  is love? ", ""}};
  auto other = subject;
  other.turns.back().text = "What is hate?";
  const auto a = key_of(subject);
  const auto b = key_of(other);
  EXPECT_EQ(a.text, "What is love?");
  EXPECT_EQ(a.partition, b.partition);
  EXPECT_NE(a.exact, b.exact);
}
