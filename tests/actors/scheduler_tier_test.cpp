// The scheduler's core with a real file tier beside it: pages go into files and come back in random
// histories, in which reader and writer are late or die, files are damaged and the server starts again. As
// the fake model's keys and values are the tokens, each page that is saved or loaded shows whether it is the
// right one.
#include "actors/kv_step.hpp"
#include "actors/scheduler_core.hpp"
#include "actors/step_runner.hpp"
#include "engine/kv/file_tier.hpp"
#include "tests/actors/answer_recorder.hpp"
#include "tests/actors/fake_model.hpp"
#include "tests/actors/fake_text.hpp"
#include "tests/actors/scheduling_books.hpp"
#include "tests/engine/scratch_folder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>

namespace souffleur {
namespace {

using namespace souffleur::testing;
using std::chrono::milliseconds;

constexpr std::size_t page_size = page_tokens * sizeof(token_id);
constexpr std::size_t record_size = 128 + page_size;

enum event_kind {
  arrival,
  quiet,
  cancelling,
  time_passes,
  kv_replaced,
  kv_late,        ///< the demand is carried out, but the scheduler has given up the answer
  step_lost,      ///< the verifier died before it computed
  step_unanswered ///< the model threw after it computed
};

/// What becomes of a fetch or a writing that is out.
enum fate { pending, answered, lost };

struct event {
  event_kind kind = quiet;
  fate reader = pending;
  fate writer = pending;
  unsigned a = 0;
  unsigned b = 0;
};

[[maybe_unused]] std::ostream& operator<<(std::ostream& out, const event& e) {
  return out << "{" << e.kind << ", " << e.reader << ", " << e.writer << ", " << e.a << ", " << e.b << "}";
}

rc::Gen<event> any_event() {
  const auto any_number = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<unsigned>());
  const auto kind = rc::gen::weightedElement<event_kind>({{8, arrival},
                                                          {12, quiet},
                                                          {2, cancelling},
                                                          {1, time_passes},
                                                          {1, kv_replaced},
                                                          {1, kv_late},
                                                          {1, step_lost},
                                                          {1, step_unanswered}});
  const auto fates = rc::gen::weightedElement<fate>({{6, pending}, {12, answered}, {1, lost}});
  return rc::gen::build<event>(rc::gen::set(&event::kind, kind), rc::gen::set(&event::reader, fates),
                               rc::gen::set(&event::writer, fates), rc::gen::set(&event::a, any_number),
                               rc::gen::set(&event::b, any_number));
}

serving_config any_config() {
  serving_config config;
  config.n_kv_pages = *rc::gen::inRange(8, 40);
  config.max_running = *rc::gen::inRange(1, 6);
  config.max_batch_tokens = config.max_running + *rc::gen::inRange(0, 60);
  config.prefill_chunk = *rc::gen::inRange(1, 60);
  config.join_prefill_tokens = *rc::gen::element(page_tokens, 4 * page_tokens);
  config.drafter = "off";
  config.window_policy = "full";
  config.scheduling_policy = *rc::gen::element<std::string>("fcfs", "priority", "deficit_lpm");
  config.tier_min_hits = *rc::gen::element(1, 1, 2);
  config.tier_step_bytes = *rc::gen::element<std::size_t>(1, page_size / 4, 3 * page_size);
  config.tier_max_bytes = *rc::gen::element<std::size_t>(4 * record_size, 64 * record_size, 1 << 20);
  return config;
}

/// Of few families, so that many share their first pages.
std::vector<token_id> prompt_of(unsigned number) {
  std::vector<token_id> prompt(1 + number % 90);
  const auto n_common = number / 7 % 100;
  for (unsigned i = 0; i < prompt.size(); ++i)
    prompt[i] = static_cast<token_id>(mixed((i < n_common ? number % 2 : number) * 131 + i) % 30);
  return prompt;
}

sampling_params sampling_of(unsigned number) {
  sampling_params sampling;
  sampling.temperature = number % 2 == 0 ? 0.0F : 1.0F;
  sampling.max_tokens = 1 + static_cast<int>(number % 12);
  sampling.seed = number;
  return sampling;
}

struct client {
  admitted_request request;
  std::shared_ptr<answer_recorder> recorder = std::make_shared<answer_recorder>();
};

/// One server's life, in `folder`.
class life {
public:
  life(const serving_config& config, const std::filesystem::path& folder)
      : config_(config), model_(std::make_shared<fake_model>(config.n_kv_pages)),
        tier_(*file_tier::open({folder, config.tier_max_bytes, model_->page_format(), model_->page_bytes()})),
        runner_(model_, {fake_end}, "coupled"),
        core_(config, std::make_shared<fake_tokenizer>(),
              std::make_unique<policy_witness>(make_scheduling_policy(config.scheduling_policy), record_),
              tier_) {
    new_kv();
  }

  request_id ask(const std::vector<token_id>& prompt, const sampling_params& sampling,
                 const std::string& tenant, steady_time deadline = steady_time::max()) {
    client who;
    who.request.id = clients_.size() + 1;
    who.request.tenant = tenant;
    who.request.prompt = prompt;
    who.request.sampling = std::make_shared<const sampling_params>(sampling);
    who.request.deadline = deadline;
    credits_->take(tenant);
    who.request.reply = std::make_shared<reply_handle>(sink_of(who.recorder), credits_, tenant);
    who.request.reply->accepted({static_cast<int>(prompt.size()), sampling.seed});
    core_.admit(who.request);
    who.request.reply = nullptr;
    was_disturbed_ = true;
    clients_.emplace(who.request.id, who);
    return who.request.id;
  }

  void happen(const event& e) {
    was_disturbed_ |= e.kind != quiet;
    if (e.kind == arrival) {
      ask(prompt_of(e.a % 64), sampling_of(e.b % 64), e.b % 3 == 0 ? "a" : "b",
          e.b % 11 == 0 ? now_ + milliseconds{30} : steady_time::max());
    } else if (e.kind == cancelling && !clients_.empty()) {
      core_.cancel(1 + e.a % clients_.size(), now_);
    } else if (e.kind == time_passes) {
      now_ += milliseconds{e.a % 40};
      core_.expire(now_);
    } else if (e.kind == kv_replaced) {
      new_kv();
      core_.kv_lost();
    }
  }

  void round(const event& e) {
    happen(e);
    answer_fetch(e.reader);
    answer_writing(e.writer);
    if (!core_.has_work())
      return;
    const bool must_be_idle = core_.waits_for_tier() && !was_disturbed_;
    was_disturbed_ = false;
    const auto demand = core_.begin_round(now_).kv;
    const auto supply = carry_out(demand, *kv_);
    RC_ASSERT(kv_->check_integrity() == "");
    if (e.kind == kv_late)
      return core_.kv_lost();
    if (e.b % 4 == 0)
      happen({cancelling, pending, pending, e.b, 0}); // while the kv manager works
    const auto plan = core_.plan(supply, nullptr, now_);
    use_tier();
    RC_ASSERT(!plan || !must_be_idle);
    RC_ASSERT(record_->could_compute.empty() || (plan && !plan->sequences.empty()));
    record_->forget_calls();
    if (plan)
      step(*plan, e);
  }

  /// Lets everything end, with nothing more going wrong.
  void finish() {
    for (std::size_t i = 0; i < 400 * (clients_.size() + 1) && core_.has_work(); ++i)
      round({quiet, answered, answered, 1, 1});
    RC_ASSERT(!core_.has_work());
    RC_ASSERT(!core_.tier().has_saves());
    answer_fetch(answered);
    answer_writing(answered);
    RC_ASSERT(!core_.tier().is_out());
    RC_ASSERT(kv_->occupancy().n_owned == 0 && kv_->occupancy().n_pinned == 0);
    for (const auto& [id, who] : clients_)
      check(who);
  }

  recorded_answer answer(request_id id) const { return clients_.at(id).recorder->now(); }
  int n_loaded_pages() const { return model_->n_loaded_pages; }
  file_tier_counters counters() const { return tier_->counters(); }
  void new_kv() { kv_ = std::make_unique<kv_manager>(config_.n_kv_pages, make_eviction_policy("lru")); }
  /// As the supervisor does when it replaces the kv manager.
  void lose_kv() { happen({kv_replaced, pending, pending, 0, 0}); }

private:
  static bool is_right(const page_bytes_ptr& bytes, const named_page& page) {
    return std::memcmp(bytes.get(), page.tokens.data(), page_size) == 0;
  }

  void step(const step_plan& plan, const event& e) {
    const auto n_most =
        std::max<std::size_t>(1, (plan.sequences.empty() ? 8 : 1) * config_.tier_step_bytes / page_size);
    RC_ASSERT(plan.saves.size() <= n_most);
    if (e.kind == step_lost)
      return core_.step_lost();
    auto result = runner_.run(plan);
    RC_ASSERT(model_->complaint() == "");
    for (const auto& [claim, bytes, ships_to] : result.saved)
      RC_ASSERT(is_right(bytes, claim->page()));
    if (e.b % 5 == 0)
      happen({cancelling, pending, pending, e.a, 0}); // while the verifier works
    if (e.a % 31 == 0)
      lose_kv();
    if (e.kind == step_unanswered)
      core_.step_crashed("planted", now_);
    else
      core_.commit(result, now_);
    was_disturbed_ = true;
    use_tier();
  }

  void use_tier() {
    if (auto wish = core_.tier().next_fetch()) {
      RC_ASSERT(!fetch_);
      RC_ASSERT(wish->pages.size() <= std::max<std::size_t>(1, 8 * config_.tier_step_bytes / page_size));
      fetch_ = std::move(wish);
    }
    if (auto wish = core_.tier().next_writing()) {
      RC_ASSERT(!writing_);
      writing_ = std::move(wish);
    }
  }

  void answer_fetch(fate what) {
    if (!fetch_ || what == pending)
      return;
    fetched_pages fetched{fetch_->ticket, {}};
    for (const auto& page : what == lost ? std::vector<named_page>{} : fetch_->pages) {
      const auto bytes = tier_->get(page);
      if (!bytes)
        break;
      RC_ASSERT(is_right(bytes, page));
      fetched.pages.push_back(bytes);
    }
    fetch_.reset();
    was_disturbed_ = true;
    core_.tier().arrived(fetched);
    use_tier();
  }

  void answer_writing(fate what) {
    if (!writing_ || what == pending)
      return;
    if (what == answered)
      for (const auto& [claim, bytes, ships_to] : writing_->pages)
        tier_->put(claim->page(), {bytes.get(), page_size});
    writing_.reset();
    was_disturbed_ = true;
    core_.tier().written();
  }

  void check(const client& who) const {
    const auto answer = who.recorder->now();
    auto expected = expected_output(who.request.prompt, *who.request.sampling);
    const int n_expected = static_cast<int>(expected.size());
    if (expected.back() == fake_end)
      expected.pop_back();
    RC_ASSERT(answer.n_ends == 1);
    RC_ASSERT(answer.breach == "");
    RC_ASSERT(answer.tokens.size() <= expected.size());
    RC_ASSERT(std::equal(answer.tokens.begin(), answer.tokens.end(), expected.begin()));
    if (!answer.finished)
      RC_ASSERT(answer.failed->code == "step_failed");
    else if (answer.finished->reason == finish_reason::stop ||
             answer.finished->reason == finish_reason::length)
      RC_ASSERT(answer.finished->usage.n_output_tokens == n_expected);
    if (answer.finished && answer.finished->usage.n_output_tokens > 0)
      RC_ASSERT(answer.finished->usage.n_cached_tokens < static_cast<int>(who.request.prompt.size()));
  }

  serving_config config_;
  std::shared_ptr<fake_model> model_;
  std::shared_ptr<file_tier> tier_;
  std::shared_ptr<admission_credits> credits_ = std::make_shared<admission_credits>(1 << 20);
  std::unique_ptr<kv_manager> kv_;
  step_runner runner_;
  std::map<request_id, client> clients_;
  std::optional<page_fetch> fetch_;
  std::optional<page_writing> writing_;
  bool was_disturbed_ = false; ///< since the last round began
  steady_time now_{};
  std::shared_ptr<policy_record> record_ = std::make_shared<policy_record>();
  scheduler_core core_;
};

/// Flips a bit in one of the files.
void damage(const std::filesystem::path& folder, unsigned number) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().filename().string().starts_with("segment-"))
      files.push_back(entry.path());
  if (files.empty())
    return;
  std::ranges::sort(files);
  const auto& path = files[number % files.size()];
  const auto at = static_cast<std::streamoff>(mixed(number) % std::filesystem::file_size(path));
  std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
  file.seekg(at);
  const auto byte = static_cast<char>(file.get() ^ (1 << number % 8));
  file.seekp(at);
  file.put(byte);
}

/// Planted bugs that it caught: who is complete does not keep pages that are still to be copied; a preempted
/// sequence, or all of them when the kv manager is lost, stays in the books; loads one page off, or saves;
/// rows for a sequence that loads; who lingers counts as no work; pages behind a missing one are taken; a
/// part of a page in memory is kept beside pages of the files; the load of a cancelled sequence goes on;
/// rounds wait for the files although there is something to do; others sit out for one that loads.
RC_GTEST_PROP(SchedulerWithFileTier, AnswersAsTheModelAloneOverManyLives, ()) {
  const scratch_folder folder;
  const auto config = any_config();
  const auto n_lives = *rc::gen::inRange(1, 4);
  for (int i = 0; i < n_lives; ++i) {
    life server{config, folder.path()};
    const auto events = *rc::gen::scale(3.0, rc::gen::container<std::vector<event>>(any_event()));
    for (const auto& e : events) {
      if (e.a % 29 == 0)
        damage(folder.path(), e.b);
      server.round(e);
    }
    if (*rc::gen::element(true, true, false)) // else it is killed
      server.finish();
  }
}

serving_config quiet_config() {
  serving_config config;
  config.n_kv_pages = 64;
  config.drafter = "off";
  config.tier_step_bytes = page_size;
  config.tier_max_bytes = 1 << 20;
  return config;
}

std::vector<token_id> long_prompt() {
  std::vector<token_id> prompt(20 * page_tokens + 5);
  for (std::size_t i = 0; i < prompt.size(); ++i)
    prompt[i] = static_cast<token_id>(mixed(i) % 30);
  return prompt;
}

int n_cached_of(life& server, int n_output = 1) {
  sampling_params sampling;
  sampling.temperature = 0;
  sampling.ignore_eos = true;
  sampling.max_tokens = n_output;
  const auto id = server.ask(long_prompt(), sampling, "a");
  server.finish();
  return server.answer(id).finished->usage.n_cached_tokens;
}

/// Computed, found once, and found often enough.
void store_long_prompt(life& server) {
  for (int i = 0; i < 3; ++i)
    n_cached_of(server);
}

TEST(SchedulerWithFileTier, WhatWasFoundTwiceIsFoundAfterARestart) {
  const scratch_folder folder;
  {
    life server{quiet_config(), folder.path()};
    EXPECT_EQ(n_cached_of(server), 0);
    EXPECT_EQ(n_cached_of(server), 20 * page_tokens);
    EXPECT_EQ(server.counters().n_written_pages, 0U);
    n_cached_of(server);
    EXPECT_EQ(server.counters().n_written_pages, 20U); // although the answer has one step only
    EXPECT_EQ(server.counters().n_skipped_pages, 0U);
    n_cached_of(server);
    EXPECT_EQ(server.counters().n_written_pages, 20U);
    EXPECT_EQ(server.n_loaded_pages(), 0);
  }
  life server{quiet_config(), folder.path()};
  EXPECT_EQ(n_cached_of(server), 20 * page_tokens);
  EXPECT_EQ(server.n_loaded_pages(), 20);
}

TEST(SchedulerWithFileTier, WhoeverComesWhileAPrefixIsLoadedWaitsForIt) {
  const scratch_folder folder;
  life server{quiet_config(), folder.path()};
  store_long_prompt(server);
  server.lose_kv();
  sampling_params sampling;
  sampling.max_tokens = 4;
  std::vector<request_id> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(server.ask(long_prompt(), sampling, "a"));
    server.round({quiet, pending, pending, 1, 1});
  }
  server.finish();
  EXPECT_EQ(server.n_loaded_pages(), 20);
  for (const auto id : ids)
    EXPECT_GE(server.answer(id).finished->usage.n_cached_tokens, 20 * page_tokens);
}

TEST(SchedulerWithFileTier, PagesOfTheFilesGoBeforeAPartialOneInMemory) {
  const scratch_folder folder;
  life server{quiet_config(), folder.path()};
  store_long_prompt(server);
  server.lose_kv();
  auto forked = long_prompt();
  forked[4 * page_tokens + 3] = (forked[4 * page_tokens + 3] + 1) % 30;
  const auto id = server.ask(forked, sampling_params{}, "a");
  server.finish();
  EXPECT_EQ(server.answer(id).finished->usage.n_cached_tokens, 4 * page_tokens);
  // Memory has four pages, and of the fifth the first three tokens; the files have it whole.
  EXPECT_EQ(n_cached_of(server), 20 * page_tokens);
  EXPECT_EQ(server.n_loaded_pages(), 20);
}

/// Planted bug that it caught: only what memory has counts.
TEST(SchedulerWithFileTier, WhosePrefixTheFilesHaveIsAdmittedBeforeWhoseNobodyHas) {
  const scratch_folder folder;
  auto config = quiet_config();
  config.scheduling_policy = "lpm";
  config.max_running = 1;
  life server{config, folder.path()};
  store_long_prompt(server);
  server.lose_kv();
  sampling_params sampling;
  sampling.ignore_eos = true;
  sampling.max_tokens = 4;
  server.ask({1, 2, 3}, sampling, "a");
  server.round({quiet, answered, answered, 1, 1});
  const auto unknown = server.ask(std::vector<token_id>(40, 7), sampling, "a");
  const auto known = server.ask(long_prompt(), sampling, "a");
  while (server.answer(unknown).n_ends + server.answer(known).n_ends == 0)
    server.round({quiet, answered, answered, 1, 1});
  EXPECT_EQ(server.answer(known).n_ends, 1);
  server.finish();
  EXPECT_EQ(server.n_loaded_pages(), 20);
}

TEST(SchedulerWithFileTier, AnotherTenantFindsNothing) {
  const scratch_folder folder;
  life server{quiet_config(), folder.path()};
  store_long_prompt(server);
  const auto id = server.ask(long_prompt(), sampling_params{}, "b");
  server.finish();
  EXPECT_EQ(server.answer(id).finished->usage.n_cached_tokens, 0);
  EXPECT_EQ(server.n_loaded_pages(), 0);
}

} // namespace
} // namespace souffleur
