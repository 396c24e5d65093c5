// Two schedulers' cores, one of which computes prompts whose pages the other one loads, in random histories.
// As the fake model's keys and values are the tokens, each page shows whether it is the right one.
#include "actors/cluster/routed_request.hpp"
#include "actors/kv_step.hpp"
#include "actors/scheduler_core.hpp"
#include "actors/step_runner.hpp"
#include "engine/kv/arriving_pages.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>

namespace souffleur {
namespace {

using namespace souffleur::testing;

constexpr std::size_t page_size = page_tokens * sizeof(token_id);

serving_config any_config() {
  serving_config config;
  config.n_kv_pages = *rc::gen::inRange(12, 60);
  config.max_running = *rc::gen::inRange(1, 6);
  config.max_batch_tokens = config.max_running + *rc::gen::inRange(0, 60);
  config.prefill_chunk = *rc::gen::inRange(1, 60);
  config.join_prefill_tokens = *rc::gen::element(page_tokens, 1000); // 1000: twins compute the same twice
  config.drafter = "off";
  config.window_policy = "full";
  config.scheduling_policy = "fcfs";
  config.tier_step_bytes = *rc::gen::element<std::size_t>(1, page_size, 8 * page_size);
  return config;
}

/// Of few families, so that many share their first pages.
std::vector<token_id> any_prompt() {
  const auto number = *rc::gen::inRange<unsigned>(0, 6);
  std::vector<token_id> prompt(*rc::gen::inRange<std::size_t>(1, 90));
  for (unsigned i = 0; i < prompt.size(); ++i)
    prompt[i] = static_cast<token_id>(mixed((i < 16 * number ? number % 2 : number) * 131 + i) % 30);
  return prompt;
}

/// What goes wrong in a round.
enum trouble { none, kv_replaced, kv_late, step_lost, step_unanswered };

class node {
public:
  explicit node(const serving_config& config)
      : model(std::make_shared<fake_model>(config.n_kv_pages)),
        arrivals(std::make_shared<arriving_pages>(
            arriving_pages_options{model->page_format(), model->page_bytes(), std::size_t{1} << 20},
            nullptr)),
        core(config, std::make_shared<fake_tokenizer>(), nullptr, arrivals), config_(config),
        runner_(model, {fake_end}, "coupled") {
    new_kv();
  }

  std::shared_ptr<answer_recorder> admit(admitted_request request) {
    auto recorder = std::make_shared<answer_recorder>();
    request.deadline = steady_time::max();
    request.reply = std::make_shared<reply_handle>(sink_of(recorder), nullptr, request.tenant);
    request.reply->accepted({static_cast<int>(request.prompt.size()), 0});
    core.admit(std::move(request));
    return recorder;
  }

  void round(trouble what) {
    exchange();
    if (!core.has_work())
      return;
    if (what == kv_replaced) {
      new_kv();
      core.kv_lost();
    }
    const auto demand = core.begin_round({}).kv;
    const auto supply = carry_out(demand, *kv_);
    RC_ASSERT(kv_->check_integrity() == "");
    if (what == kv_late)
      return core.kv_lost();
    const auto plan = core.plan(supply, nullptr, {});
    exchange();
    if (!plan)
      return;
    if (what == step_lost)
      return core.step_lost();
    const auto result = runner_.run(*plan);
    RC_ASSERT(model->complaint() == "");
    if (what == step_unanswered)
      core.step_crashed("planted", {});
    else
      core.commit(result, {});
  }
  void finish() {
    for (int i = 0; i < 4000 && core.has_work(); ++i)
      round(none);
    exchange();
    RC_ASSERT(!core.has_work());
    RC_ASSERT(!core.tier().has_saves());
    RC_ASSERT((kv_->occupancy().n_owned == 0 && kv_->occupancy().n_pinned == 0));
  }
  int n_found_tokens(const std::string& tenant, const std::vector<token_id>& prompt) const {
    return kv_->peek(tenant, prompt);
  }

  std::shared_ptr<fake_model> model;
  std::shared_ptr<arriving_pages> arrivals;
  scheduler_core core;

private:
  void new_kv() { kv_ = std::make_unique<kv_manager>(config_.n_kv_pages, make_eviction_policy("lru")); }
  /// As reader and writer do.
  void exchange() {
    if (const auto wish = core.tier().next_fetch()) {
      fetched_pages fetched{wish->ticket, {}};
      for (const auto& page : wish->pages)
        if (auto bytes = arrivals->get(page))
          fetched.pages.push_back(std::move(bytes));
        else
          break;
      core.tier().arrived(fetched);
    }
    if (const auto wish = core.tier().next_writing()) {
      for (const auto& [claim, bytes, ships_to] : wish->pages)
        ships_to->put(claim->page(), bytes);
      core.tier().written();
    }
  }

  serving_config config_;
  std::unique_ptr<kv_manager> kv_;
  step_runner runner_;
};

struct conversation {
  std::string tenant;
  std::vector<token_id> prompt;
  sampling_params sampling;
  int n_expected = 0; ///< pages to be shipped
  int n_shipped = 0;
  bool is_over = false;
};

admitted_request prefill_of(const conversation& who, request_id id, int first_page) {
  return prefill_request({id, who.tenant, who.prompt, first_page, 0, 1'000'000}, id, {});
}

page_shipment_ptr shipment_of(conversation& who, const std::shared_ptr<arriving_pages>& to,
                              std::uint64_t owner, int first_page) {
  return std::make_shared<page_shipment>(
      page_shipment_options{first_page, 1U << 20, {}},
      [&who, to, owner](const named_page& page, const page_bytes_ptr& bytes) {
        RC_ASSERT(std::memcmp(bytes.get(), page.tokens.data(), page_size) == 0);
        const std::string_view text{reinterpret_cast<const char*>(bytes.get()), page_size};
        RC_ASSERT(to->arrive(owner, to->format_name(), page.name, arriving_pages::checksum_of(text), text) ==
                  "");
        ++who.n_shipped;
      },
      [&who] { who.is_over = true; });
}

} // namespace

RC_GTEST_PROP(SchedulerThatShips, WhoeverLoadsWhatAnotherComputedAnswersAsTheModelAlone, ()) {
  std::deque<conversation> all;
  const auto config = any_config();
  node computes{config};
  const bool goes_wrong = *rc::gen::arbitrary<bool>();
  const bool is_roomy = config.n_kv_pages >= 40; // else pages may be needed before they are copied
  node decodes{any_config()};
  request_id n_ids = 0;
  for (int turn = *rc::gen::inRange(1, 4); turn > 0; --turn) {
    const auto n_before = all.size();
    for (int i = *rc::gen::inRange(1, 5); i > 0; --i) {
      auto& who = all.emplace_back();
      who.tenant = *rc::gen::arbitrary<bool>() ? "a" : "b";
      who.prompt = any_prompt();
      who.sampling.temperature = *rc::gen::arbitrary<bool>() ? 0 : 1;
      who.sampling.seed = static_cast<std::uint64_t>(turn);
      who.sampling.max_tokens = *rc::gen::inRange(1, 9);
      const int first = decodes.n_found_tokens(who.tenant, who.prompt) / page_tokens;
      auto request = prefill_of(who, ++n_ids, first);
      request.ships_to = shipment_of(who, decodes.arrivals, n_ids, first);
      computes.admit(std::move(request));
      if (goes_wrong && *rc::gen::inRange(0, 6) == 0)
        computes.core.cancel(n_ids, {});
      who.n_expected = (static_cast<int>(who.prompt.size()) - 1) / page_tokens - first;
      if (*rc::gen::arbitrary<bool>())
        computes.round(none);
      RC_ASSERT(who.n_shipped <= who.n_expected);
    }
    for (int i = *rc::gen::inRange(0, 20); i > 0; --i)
      computes.round(
          goes_wrong ? *rc::gen::weightedElement<trouble>(
                           {{12, none}, {1, kv_replaced}, {1, kv_late}, {1, step_lost}, {1, step_unanswered}})
                     : none);
    computes.finish();
    std::deque<std::pair<conversation*, std::shared_ptr<answer_recorder>>> asked;
    for (auto i = n_before; i < all.size(); ++i) {
      auto& who = all[i];
      RC_ASSERT(who.is_over);
      RC_ASSERT((goes_wrong || !is_roomy || who.n_shipped == who.n_expected));
      admitted_request request;
      request.id = ++n_ids;
      request.tenant = who.tenant;
      request.prompt = who.prompt;
      request.sampling = std::make_shared<const sampling_params>(who.sampling);
      asked.emplace_back(&who, decodes.admit(std::move(request)));
    }
    decodes.finish();
    for (const auto& [who, recorder] : asked) {
      auto expected = expected_output(who->prompt, who->sampling);
      if (expected.back() == fake_end)
        expected.pop_back();
      const auto answer = recorder->now();
      RC_ASSERT(answer.breach == "");
      RC_ASSERT(answer.finished.has_value());
      RC_ASSERT(answer.tokens == expected);
    }
  }
}

TEST(SchedulerThatShips, NothingButTheRestIsComputedWhereThePagesArrive) {
  serving_config config;
  config.n_kv_pages = 40;
  config.drafter = "off";
  config.prefill_chunk = 20;
  node computes{config};
  node decodes{config};
  conversation who{"a", std::vector<token_id>(100, 3), {}, 0, 0, false};
  who.sampling.max_tokens = 4;
  auto request = prefill_of(who, 1, 0);
  request.ships_to = shipment_of(who, decodes.arrivals, 1, 0);
  computes.admit(std::move(request));
  computes.round(none);
  computes.round(none);
  computes.round(none);
  EXPECT_GE(who.n_shipped, 1) << "while the rest is computed";
  computes.finish();
  EXPECT_EQ(who.n_shipped, 6);
  EXPECT_EQ(computes.n_found_tokens("a", who.prompt), 96);
  EXPECT_EQ(computes.n_found_tokens("b", who.prompt), 0);
  for (const std::string tenant : {"b", "a"}) { // another tenant finds nothing of it
    admitted_request asked;
    asked.id = tenant == "a" ? 2 : 3;
    asked.tenant = tenant;
    asked.prompt = who.prompt;
    asked.sampling = std::make_shared<const sampling_params>(who.sampling);
    const auto recorder = decodes.admit(std::move(asked));
    decodes.finish();
    EXPECT_EQ(recorder->now().finished->usage.n_cached_tokens, tenant == "a" ? 96 : 0);
    EXPECT_EQ(decodes.model->n_loaded_pages, tenant == "a" ? 6 : 0);
  }
  EXPECT_EQ(decodes.arrivals->n_waiting(), 0U);
}

TEST(SchedulerThatShips, APageThatIsStillToBeCopiedIsNotGivenBackForAnEqualOne) {
  serving_config config;
  config.n_kv_pages = 16;
  config.max_running = 2;
  config.max_batch_tokens = 400;
  config.prefill_chunk = 200;
  config.join_prefill_tokens = 1000;
  config.tier_step_bytes = 1; // a page a step
  config.drafter = "off";
  node computes{config};
  node decodes{config};
  std::deque<conversation> all;
  for (request_id id = 1; id <= 3; ++id) { // twins, and somebody who needs pages when they are complete
    auto& who = all.emplace_back();
    who.tenant = "a";
    who.prompt.assign(id < 3 ? 97 : 60, id < 3 ? 3 : 4);
    auto request = prefill_of(who, id, 0);
    request.ships_to = shipment_of(who, decodes.arrivals, id, 0); // checks what the pages have
    computes.admit(std::move(request));
  }
  computes.finish();
  EXPECT_EQ(all.back().n_shipped, 3);
}

} // namespace souffleur
