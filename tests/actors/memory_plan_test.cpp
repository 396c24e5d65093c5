#include "actors/memory_plan.hpp"

#include "engine/drafting/sequence_drafters.hpp"
#include "engine/kv_manager.hpp"
#include "policies/token.hpp"

#include <gtest/gtest.h>
#include <malloc.h>
#include <rapidcheck/gtest.h>

#include <numeric>

namespace souffleur {
namespace {

constexpr std::size_t mib = 1U << 20;

std::size_t bytes_of(const memory_plan& plan, const std::string& name) {
  for (const auto& part : plan.parts)
    if (part.name == name)
      return part.bytes;
  return 0;
}

model_footprint arbitrary_footprint() {
  return {*rc::gen::inRange<std::size_t>(1, 4000 * mib), *rc::gen::inRange<std::size_t>(1, 4 * mib),
          *rc::gen::inRange<std::size_t>(1, mib), *rc::gen::inRange<std::size_t>(1, mib),
          *rc::gen::inRange(256, 1 << 17)};
}

RC_GTEST_PROP(MemoryPlan, a_budget_is_kept_with_as_many_kv_pages_as_it_leaves_room_for, ()) {
  serving_config config;
  config.n_kv_pages = *rc::gen::inRange(16, 1 << 16);
  config.max_running = *rc::gen::inRange(1, 64);
  config.max_draft = *rc::gen::inRange(0, 16);
  config.cache_policy = *rc::gen::element<std::string>("off", "exact");
  const auto model = arbitrary_footprint();
  const auto program = *rc::gen::inRange<std::size_t>(0, 200 * mib);
  const auto budget = *rc::gen::inRange<std::size_t>(1, 16000 * mib);

  const auto free = plan_memory(config, model, program, 0);
  RC_ASSERT(free);
  RC_ASSERT(free->n_kv_pages == config.n_kv_pages);
  const auto page = model.kv_page_bytes + kv_table_bytes_per_page;
  const auto fixed = free->total_bytes() - static_cast<std::size_t>(config.n_kv_pages) * page;
  const auto plan = plan_memory(config, model, program, budget);
  RC_ASSERT(static_cast<bool>(plan) == (fixed + least_kv_tokens / page_tokens * page <= budget));
  if (!plan)
    return;
  RC_ASSERT(plan->total_bytes() <= budget);
  RC_ASSERT(plan->n_kv_pages == config.n_kv_pages || plan->total_bytes() + page > budget);
  RC_ASSERT(bytes_of(*plan, "kv") == static_cast<std::size_t>(plan->n_kv_pages) * model.kv_page_bytes);
}

TEST(MemoryPlan, a_budget_without_room_for_kv_names_the_parts_that_fill_it) {
  const auto plan = plan_memory({}, {300 * mib, mib, 1000, 1000, 1024}, 50 * mib, 200 * mib);
  ASSERT_FALSE(plan);
  for (const auto* word : {"memory.budget_mib", "200 MiB", "weights 300 MiB", "program 50 MiB"})
    EXPECT_NE(plan.error().find(word), std::string::npos) << plan.error();
}

TEST(MemoryPlan, what_is_off_is_not_counted) {
  serving_config config;
  config.drafter = "off";
  const auto plan = plan_memory(config, {mib, mib, 1000, 1000, 1024}, 0, 0);
  ASSERT_TRUE(plan);
  EXPECT_EQ(bytes_of(*plan, "drafts"), 0U);
  EXPECT_EQ(bytes_of(*plan, "response_cache"), 0U);
}

TEST(MemoryPlan, an_embedding_model_is_counted_with_the_texts_that_wait_for_it) {
  serving_config config;
  const embedder_files files{{6, 384, 12, 1536, 512, 30522, 1e-12F},
                             nullptr,
                             *wordpiece_tokenizer::from_vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"),
                             0};
  const auto part = embedder_part(config, files);
  EXPECT_EQ(part.name, "embedding_model");
  EXPECT_GE(part.bytes, (90 + 8192 * 2 / 1024) * mib); // float32 weights of 22.7 million, ids and vectors
  EXPECT_LE(part.bytes, 150 * mib);
  const auto plan = plan_memory(config, {mib, mib, 1000, 1000, 1024}, 0, 0, std::span{&part, 1});
  EXPECT_EQ(bytes_of(*plan, "embedding_model"), part.bytes);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they have a heap of their own
std::size_t heap_bytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

TEST(MemoryPlan, tables_take_no_more_than_what_is_counted_for_a_page) {
  constexpr int n_pages = 8192;
  const auto before = heap_bytes();
  kv_manager kv{n_pages, make_eviction_policy("gdsf")};
  std::vector<token_id> prompt(page_tokens);
  for (sequence_id id = 0; id < n_pages; ++id) { // a node of its own for each page
    std::iota(prompt.begin(), prompt.end(), static_cast<token_id>(id) * page_tokens);
    kv.begin(id, "", prompt);
    ASSERT_TRUE(kv.reserve(id, page_tokens));
    kv.publish(id, prompt);
    kv.end(id);
  }
  ASSERT_EQ(kv.occupancy().n_cached, n_pages);
  const auto per_page = (heap_bytes() - before) / n_pages;
  RecordProperty("bytes_per_page", static_cast<int>(per_page));
  EXPECT_LE(per_page, kv_table_bytes_per_page);
  EXPECT_GE(per_page, kv_table_bytes_per_page / 2) << "the bound is far too wide";
}

TEST(MemoryPlan, a_drafter_takes_no_more_than_what_is_counted_for_a_token) {
  constexpr int n_tokens = 20000;
  const auto before = heap_bytes();
  sequence_drafters drafters{{.prompt_lookup = true, .suffix = true, .answers = true}, {}};
  unsigned state = 1;
  for (int i = 0; i < n_tokens; ++i) { // few n-grams alike
    state = state * 1664525U + 1013904223U;
    const auto token = static_cast<token_id>(state >> 20);
    drafters.append(std::span{&token, 1});
  }
  const auto per_token = (heap_bytes() - before) / n_tokens;
  RecordProperty("bytes_per_token", static_cast<int>(per_token));
  EXPECT_LE(per_token, draft_bytes_per_token);
  EXPECT_GE(per_token, draft_bytes_per_token / 2) << "the bound is far too wide";
}
#endif

} // namespace
} // namespace souffleur
