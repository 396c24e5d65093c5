#include "actors/early_embeddings.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

namespace souffleur {
namespace {

cache_insertion_ptr answer_of(int tenant) {
  auto terms = std::make_shared<cache_terms>();
  terms->owner.bytes[0] = static_cast<std::uint8_t>(tenant);
  return std::make_shared<const cache_insertion>(
      cache_insertion{terms, std::make_shared<const cached_answer>(), nullptr});
}

embedding_ptr vector_of(float x) { return std::make_shared<const std::vector<float>>(1, x); }

/// Every answer comes out once, with its embedding, as soon as both are there; unless its tenant was
/// forgotten.
RC_GTEST_PROP(EarlyEmbeddings, AnswerAndEmbeddingComeOutTogetherInWhateverOrderTheyCome, ()) {
  struct known {
    cache_insertion_ptr insertion;
    std::optional<embedding_ptr> embedding;
    int tenant = 0;
    bool has_begun = false;
  };
  early_embeddings early;
  std::map<std::uint64_t, known> model;
  std::uint64_t n_tickets = 0;
  const auto check = [&](std::uint64_t ticket, const std::optional<early_embeddings::complete>& out) {
    const auto at = model.find(ticket);
    const bool is_complete = at != model.end() && at->second.insertion && at->second.embedding;
    RC_ASSERT(out.has_value() == is_complete);
    if (is_complete) {
      RC_ASSERT(out->insertion == at->second.insertion);
      RC_ASSERT(out->embedding == *at->second.embedding);
      model.erase(at);
    }
  };
  const int n_steps = *rc::gen::inRange(1, 80);
  for (int i = 0; i < n_steps; ++i) {
    const auto ticket = *rc::gen::inRange<std::uint64_t>(0, n_tickets + 2);
    switch (*rc::gen::inRange(0, 5)) {
    case 0:
      ++n_tickets;
      RC_ASSERT(!early.add(n_tickets, "q" + std::to_string(n_tickets)));
      model[n_tickets].tenant = *rc::gen::inRange(0, 3);
      break;
    case 1: {
      const auto text = early.begin(ticket);
      const auto at = model.find(ticket);
      RC_ASSERT(text.has_value() == ((at != model.end()) && !at->second.has_begun));
      if (text) {
        RC_ASSERT(*text == "q" + std::to_string(ticket));
        at->second.has_begun = true;
      }
      break;
    }
    case 2: {
      const auto vector = *rc::gen::arbitrary<bool>() ? vector_of(1) : nullptr;
      if (const auto at = model.find(ticket); at != model.end())
        at->second.embedding = vector;
      check(ticket, early.embedded(ticket, vector));
      break;
    }
    case 3:
      if (const auto at = model.find(ticket); at != model.end() && !at->second.insertion) {
        at->second.insertion = answer_of(at->second.tenant);
        check(ticket, early.answered(ticket, at->second.insertion));
      }
      break;
    default: {
      const int tenant = *rc::gen::inRange(0, 3);
      early.forget(answer_of(tenant)->terms->owner);
      std::erase_if(model,
                    [&](const auto& one) { return one.second.insertion && one.second.tenant == tenant; });
    }
    }
    RC_ASSERT(early.size() == model.size());
    RC_ASSERT(early.contains(ticket) == model.contains(ticket));
  }
}

TEST(EarlyEmbeddings, TheOldestMakesRoomAndItsAnswerIsNotLost) {
  early_embeddings early;
  for (std::uint64_t ticket = 1; ticket <= early_embeddings::most; ++ticket)
    EXPECT_FALSE(early.add(ticket, "q"));
  const auto answer = answer_of(1);
  EXPECT_FALSE(early.answered(2, answer));
  EXPECT_FALSE(early.add(5000, "q")) << "the first one has no answer";
  EXPECT_FALSE(early.contains(1));
  const auto second = early.add(5001, "q");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->insertion, answer);
  EXPECT_FALSE(second->embedding);
  EXPECT_EQ(early.size(), early_embeddings::most);
}

} // namespace
} // namespace souffleur
