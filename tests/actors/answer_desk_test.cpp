// What the response cache serves, against laws that hold for every policy (C3, C4, C15, C16).
#include "actors/answer_desk.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <map>

namespace souffleur {
namespace {

constexpr std::size_t n_dimensions = 8;
constexpr unix_seconds start_s = 1'000'000;

answer_desk_options options_of(const std::string& policy) {
  answer_desk_options options;
  options.memory.n_dimensions = n_dimensions;
  options.memory.embedder = "embedder";
  options.policy = policy;
  options.calibration.floors = {{0.01, 0.95}, {0.05, 0.85}};
  return options;
}

/// Vectors of which neighbours are at cosine cos(0.1 rad).
std::shared_ptr<const std::vector<float>> vector_of(int place) {
  std::vector<float> vector(n_dimensions, 0.0F);
  vector[0] = static_cast<float>(std::cos(0.1 * place));
  vector[1] = static_cast<float>(std::sin(0.1 * place));
  return std::make_shared<const std::vector<float>>(std::move(vector));
}

double cosine_of(int a, int b) { return std::cos(0.1 * (a - b)); }

key_digest digest_of(const std::string& kind, const std::string& of) {
  key_encoder encoder;
  encoder.add(kind);
  encoder.add(of);
  return encoder.digest();
}

cache_terms_ptr terms_of(const std::string& tenant, const std::string& question) {
  auto terms = std::make_shared<cache_terms>();
  terms->key.partition = digest_of("partition", tenant);
  terms->key.exact = digest_of(tenant, question);
  terms->key.text = question;
  terms->owner = cache_owner(tenant);
  terms->permit.exact = terms->permit.semantic = terms->permit.reads = true;
  terms->permit.threshold = 0.9;
  terms->permit.max_error = 0.01;
  terms->permit.ttl_s = 100;
  return terms;
}

cached_answer_ptr answer_of(const std::string& text) {
  auto answer = std::make_shared<cached_answer>();
  answer->pieces.push_back({1, text, text});
  return answer;
}

void store(answer_desk& desk, const cache_terms_ptr& terms, int place, const std::string& text,
           unix_seconds now_s = start_s) {
  desk.insert({terms, answer_of(text), nullptr}, vector_of(place), now_s);
}

struct wording {
  const char* text;
  int place;
};

/// The first two mean the same; the third is caught by a guard, the fourth is far away.
constexpr wording wordings[] = {{"How do I boil an egg?", 0},
                                {"How do I boil one egg?", 1},
                                {"How do I not boil an egg?", 1},
                                {"Who painted the ceiling of the chapel?", 14}};

RC_GTEST_PROP(AnswerDesk, ServesOnlyWhatIsNearEnoughGuardedFreshAndTheTenantsOwn, ()) {
  const auto policy = *rc::gen::element<std::string>("exact", "fixed", "guarded", "bounded");
  answer_desk desk{options_of(policy)};
  std::map<std::pair<std::string, std::string>, std::pair<int, unix_seconds>> stored; // → place, expiry
  auto now_s = start_s;
  const int n_acts = *rc::gen::inRange(0, 30);
  for (int i = 0; i < n_acts; ++i) {
    const auto tenant = *rc::gen::element<std::string>("a", "b");
    const auto& asked = wordings[*rc::gen::inRange(0, 4)];
    auto terms = std::make_shared<cache_terms>(*terms_of(tenant, asked.text));
    terms->permit.threshold = *rc::gen::element(0.0, 0.9, 0.999);
    terms->permit.max_error = *rc::gen::element(0.0, 0.01, 0.05);
    now_s += *rc::gen::inRange(0, 60);
    if (*rc::gen::arbitrary<bool>()) {
      store(desk, terms, asked.place, tenant + ": " + asked.text, now_s);
      stored[{tenant, asked.text}] = {asked.place, now_s + 100};
      continue;
    }
    if (*rc::gen::inRange(0, 10) == 0) {
      desk.forget(cache_owner(tenant));
      std::erase_if(stored, [&](const auto& one) { return one.first.first == tenant; });
    }
    const auto exact = desk.find_exact(*terms, now_s);
    const auto own = stored.find({tenant, asked.text});
    const bool is_there = own != stored.end() && own->second.second > now_s;
    RC_ASSERT((exact != nullptr) == is_there);
    if (exact)
      RC_ASSERT(exact->answer->text() == tenant + ": " + asked.text);
    const auto found = desk.find_similar(*terms, vector_of(asked.place), {}, now_s);
    if (found->source != answer_source::semantic)
      continue;
    RC_ASSERT(policy != "exact");
    const auto of = std::ranges::find_if(stored, [&](const auto& one) {
      return found->answer->text() == one.first.first + ": " + one.first.second;
    });
    RC_ASSERT(of != stored.end());
    RC_ASSERT(of->first.first == tenant);
    RC_ASSERT(of->second.second > now_s);
    const double similarity = cosine_of(of->second.first, asked.place);
    RC_ASSERT(std::abs(found->similarity - similarity) < 1e-5);
    if (policy == "bounded")
      RC_ASSERT((terms->permit.max_error > 0 &&
                 similarity >= (terms->permit.max_error < 0.05 ? 0.95 : 0.85) - 1e-5));
    else
      RC_ASSERT(similarity >= terms->permit.threshold - 1e-5);
    if (policy != "fixed")
      RC_ASSERT(compare(asked.text, of->first.second).passes());
  }
}

TEST(AnswerDesk, WhatIsNearButRefusedIsDraftedFrom) {
  answer_desk desk{options_of("guarded")};
  store(desk, terms_of("a", wordings[0].text), 0, "stored");
  const auto near = desk.find_similar(*terms_of("a", wordings[1].text), vector_of(1), {}, start_s);
  EXPECT_EQ(near->source, answer_source::semantic);
  const auto refused = desk.find_similar(*terms_of("a", wordings[2].text), vector_of(1), {}, start_s);
  EXPECT_EQ(refused->source, answer_source::model);
  ASSERT_TRUE(refused->answer);
  EXPECT_EQ(refused->answer->text(), "stored");
  EXPECT_NEAR(refused->similarity, cosine_of(0, 1), 1e-5);
  const auto far = desk.find_similar(*terms_of("a", wordings[3].text), vector_of(14), {}, start_s);
  EXPECT_FALSE(far->answer);
}

TEST(AnswerDesk, WhatMayBeServedGoesBeforeWhatIsNearer) {
  answer_desk desk{options_of("guarded")};
  store(desk, terms_of("a", wordings[2].text), 0, "of the opposite");
  store(desk, terms_of("a", wordings[1].text), 2, "of the same");
  const auto found = desk.find_similar(*terms_of("a", wordings[0].text), vector_of(0), {}, start_s);
  EXPECT_EQ(found->source, answer_source::semantic);
  EXPECT_EQ(found->answer->text(), "of the same");
}

TEST(AnswerDesk, WhatTheStoreFindsIsNotTakenOnTrust) {
  answer_desk desk{options_of("fixed")};
  const auto entry = [](const std::string& tenant, unix_seconds expires_s) {
    const auto terms = terms_of(tenant, wordings[0].text);
    cache_entry made;
    made.exact = terms->key.exact;
    made.partition = terms->key.partition;
    made.owner = terms->owner;
    made.question = wordings[0].text;
    made.expires_s = expires_s;
    made.answer = answer_of(tenant);
    return std::make_shared<const cache_entry>(std::move(made));
  };
  const auto ask = [&](std::vector<found_entry> elsewhere) {
    return desk.find_similar(*terms_of("a", wordings[1].text), vector_of(1), elsewhere, start_s)->source;
  };
  EXPECT_EQ(ask({{entry("a", start_s + 1), 0.99}}), answer_source::semantic);
  EXPECT_EQ(ask({{entry("b", start_s + 1), 0.99}}), answer_source::model) << "another tenant's";
  EXPECT_EQ(ask({{entry("a", start_s), 0.99}}), answer_source::model) << "expired";
}

TEST(AnswerDesk, StartsOverWithNothing) {
  answer_desk desk{options_of("guarded")};
  store(desk, terms_of("a", wordings[0].text), 0, "stored");
  desk.start_over();
  EXPECT_FALSE(desk.find_exact(*terms_of("a", wordings[0].text), start_s));
  EXPECT_TRUE(desk.find_by_wording(*terms_of("a", wordings[0].text), start_s)) << "it need not be embedded";
  EXPECT_EQ(desk.counters().n_entries, 0U);
  store(desk, terms_of("a", wordings[0].text), 0, "again");
  EXPECT_FALSE(desk.find_by_wording(*terms_of("a", wordings[0].text), start_s));
}

TEST(AnswerDesk, EmbedsAQuestionOnlyIfAStoredOneHasItsWordsAndPassesTheGuards) {
  const auto found = [](const std::string& policy, const std::string& question) {
    answer_desk desk{options_of(policy)};
    store(desk, terms_of("a", "how do lions hunt at night"), 0, "stored");
    return desk.find_by_wording(*terms_of("a", question), start_s);
  };
  for (const std::string policy : {"guarded", "bounded"}) {
    EXPECT_FALSE(found(policy, "how do the lions hunt during the night")) << "to be embedded";
    EXPECT_FALSE(found(policy, "what is it?")) << "its words say nothing";
    const auto other = found(policy, "who painted the ceiling of the chapel");
    ASSERT_TRUE(other) << "no word in common";
    EXPECT_FALSE(other->answer);
    const auto refused = found(policy, "how do lions not hunt at night");
    ASSERT_TRUE(refused) << "the guards refuse it";
    EXPECT_EQ(refused->source, answer_source::model);
    ASSERT_TRUE(refused->answer) << "but its answer is worth drafting from";
    EXPECT_EQ(refused->answer->text(), "stored");
    EXPECT_GT(refused->similarity, 0.6);
  }
  EXPECT_FALSE(found("fixed", "who painted the ceiling of the chapel")) << "it looks at no words";
}

TEST(AnswerDesk, AJudgementTeachesTheEntryAndChangesNoAnswer) {
  answer_desk desk{options_of("bounded")};
  store(desk, terms_of("a", wordings[0].text), 0, "stored");
  const auto asked = terms_of("a", wordings[1].text);
  auto far = options_of("bounded");
  // At cosine 0.93 nothing is certified for 1 %, but it may well be right.
  const auto found = desk.find_similar(*asked, vector_of(4), {}, start_s);
  ASSERT_EQ(found->source, answer_source::model);
  ASSERT_TRUE(found->doubt.has_value());
  const cache_insertion other{asked, answer_of("another"), found};
  const auto doubt = desk.doubt_of(other, start_s);
  ASSERT_TRUE(doubt.has_value());
  EXPECT_EQ(doubt->stored_answer, "stored");
  EXPECT_EQ(doubt->generated_answer, "another");
  EXPECT_EQ(doubt->stored_question, wordings[0].text);
  EXPECT_EQ(doubt->asked_question, wordings[1].text);
  const cache_insertion same{asked, answer_of("stored"), found};
  EXPECT_FALSE(desk.doubt_of(same, start_s).has_value())
      << "equal answers are right without being asked about";
  for (int i = 0; i < 20; ++i)
    desk.settle(*found->doubt, likeness::different);
  EXPECT_EQ(desk.find_exact(*terms_of("a", wordings[0].text), start_s)->answer->text(), "stored");
  const auto later = desk.find_similar(*asked, vector_of(1), {}, start_s);
  EXPECT_EQ(later->source, answer_source::model)
      << "it was wrong 20 times, so it is not served at 0.995 either";
  EXPECT_FALSE(desk.doubt_of({asked, answer_of("x"), nullptr}, start_s).has_value());
  desk.forget(asked->owner);
  EXPECT_FALSE(desk.doubt_of(other, start_s).has_value()) << "what is gone is not judged";
}

} // namespace
} // namespace souffleur
