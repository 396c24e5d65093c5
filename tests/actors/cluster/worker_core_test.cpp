// A worker between its router and those who compute for it, whatever comes in whatever order.
#include "actors/cluster/worker_core.hpp"

#include "actors/request_preparation.hpp"
#include "engine/kv/arriving_pages.hpp"
#include "engine/kv/prefix_journal.hpp"
#include "tests/actors/fake_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <set>

namespace souffleur {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr std::size_t page_size_bytes = 16;
constexpr int most_held = 12;

prompt_format plain_format() {
  const auto vocabulary = std::make_shared<fake_tokenizer>();
  return {vocabulary, nullptr, "fake", 4096, std::make_shared<grammar::grammar_library>(vocabulary), nullptr};
}

page_bytes_ptr any_page() { return std::make_shared<std::byte[]>(page_size_bytes); }

/// Those who compute: whom they still work for, and what they have copied and not told yet.
class recording_host final : public worker_host {
public:
  void submit(admitted_request request) override { running.emplace(request.id, std::move(request)); }
  void cancel(request_id id) override { running.erase(id); }
  void change(request_id id, const generation_change& change) override {
    changes.emplace_back(id, change.priority.value_or(0));
  }
  page_shipment_ptr shipment_for(attempt_id attempt, const page_shipment_options& options) override {
    return std::make_shared<page_shipment>(
        options,
        [this, attempt](const named_page& page, page_bytes_ptr bytes) {
          copies.push_back({attempt, page, std::move(bytes)});
        },
        [this, attempt] { over.push_back(attempt); });
  }

  struct copy {
    attempt_id attempt = 0;
    named_page page;
    page_bytes_ptr bytes;
  };
  // What is told when requests go stands before them.
  std::deque<copy> copies;
  std::deque<attempt_id> over;
  std::vector<std::pair<request_id, int>> changes;
  std::map<request_id, admitted_request> running;
};

enum class phase { running, cancelled, ended };

/// What the router knows of a stream, and what was made of it.
struct routed_stream {
  request_id id = 0; ///< 0: it was not submitted
  phase now = phase::running;
  bool is_made = false; ///< to its end
  std::vector<token_id> made, got;
};
struct routed_prompt {
  request_id id = 0;
  phase now = phase::running;
  int n_pages = 0; ///< that the order needs
  int n_copied = 0, n_got = 0;
  bool is_given_up = false;
};

class play {
public:
  void step() {
    switch (*rc::gen::inRange(0, 15)) {
    case 0:
    case 1:
      order_stream();
      break;
    case 2:
      order_prompt();
      break;
    case 3:
    case 4:
    case 5:
      make_tokens(*rc::gen::inRange(1, 6));
      break;
    case 6:
      end_stream();
      break;
    case 7:
    case 8:
      copy_page();
      break;
    case 9:
      end_prompt();
      break;
    case 10:
      tell_copies();
      break;
    case 11:
      cancel();
      break;
    case 12:
      grant(*rc::gen::inRange(0, 3));
      break;
    case 13:
      receive_page();
      break;
    default:
      disturb();
    }
    if (*rc::gen::inRange(0, 3) == 0)
      core.flush();
    look();
  }

  /// All that was made is told in the end.
  void conclude() {
    tell_copies();
    look();
    while (core.holds_progress()) {
      grant(1);
      look();
    }
    for (const auto& [attempt, one] : streams)
      RC_ASSERT((!one.is_made || one.now != phase::running));
    for (const auto& [attempt, one] : prompts)
      RC_ASSERT((one.now != phase::running || host.running.contains(one.id)));
    core.left();
    RC_ASSERT(host.running.empty());
    RC_ASSERT(core.n_streams() == 0);
    RC_ASSERT(arrivals->n_waiting() == 0U);
    RC_ASSERT(core.check_integrity() == "");
  }

  play() { core.joined(n_credits); }

private:
  attempt_id a_known_attempt() { return *rc::gen::inRange<attempt_id>(1, n_attempts + 2); }
  template <class Some>
  typename Some::value_type* one_running(Some& all) {
    std::vector<typename Some::value_type*> able;
    for (auto& one : all)
      if (host.running.contains(one.second.id))
        able.push_back(&one);
    return able.empty() ? nullptr : able[*rc::gen::inRange<std::size_t>(0, able.size())];
  }
  request_id submitted_since(const std::set<request_id>& before) {
    for (const auto& [id, request] : host.running)
      if (!before.contains(id))
        return id;
    return 0;
  }
  std::set<request_id> ids() const {
    std::set<request_id> all;
    for (const auto& [id, request] : host.running)
      all.insert(id);
    return all;
  }

  void order_stream() {
    stream_order order;
    const auto* known = *rc::gen::inRange(0, 8) == 0 ? one_running(streams) : nullptr;
    order.attempt = known ? known->first : ++n_attempts;
    order.prompt = {1, 2, 3};
    order.time_left_ms = 1000;
    const bool is_wrong = !known && *rc::gen::inRange(0, 8) == 0;
    if (is_wrong)
      order.output = grammar::output_grammar{grammar::language::regex, "[a-"};
    const auto before = ids();
    core.take(order, now);
    if (known)
      return RC_ASSERT(ids() == before);
    auto& one = streams[order.attempt];
    one.id = submitted_since(before);
    RC_ASSERT((one.id == 0) == is_wrong);
    one.is_made = is_wrong;
  }
  void order_prompt() {
    if (pages.contains(n_attempts + 1))
      return;
    prefill_order order;
    order.attempt = ++n_attempts;
    order.prompt.assign(*rc::gen::inRange<std::size_t>(1, 5 * page_tokens), 1);
    order.first_page = *rc::gen::inRange(0, 2);
    const auto before = ids();
    core.take(order, now);
    auto& one = prompts[order.attempt];
    one.id = submitted_since(before);
    RC_ASSERT(one.id != 0U);
    RC_ASSERT(host.running.at(one.id).ships_to->first_page() == order.first_page);
    const auto after = ids();
    core.take(order, now); // it is begun once
    RC_ASSERT(ids() == after);
    one.n_pages = std::max(0, (static_cast<int>(order.prompt.size()) - 1) / page_tokens - order.first_page);
  }
  void make_tokens(int n) {
    auto* chosen = one_running(streams);
    if (!chosen)
      return;
    generation_delta delta;
    for (int i = 0; i < n; ++i) {
      chosen->second.made.push_back(++n_tokens);
      delta.tokens.emplace_back().id = n_tokens;
    }
    core.happened(chosen->second.id, std::move(delta));
  }
  void end_stream() {
    auto* chosen = one_running(streams);
    if (!chosen)
      return;
    auto& [attempt, one] = *chosen;
    one.is_made = true;
    host.running.erase(one.id);
    if (*rc::gen::arbitrary<bool>())
      core.happened(one.id, generation_finished{});
    else
      core.happened(one.id, generation_failed{500, "x", "broken", "", 0});
    core.happened(one.id, generation_delta{}); // of who has ended nothing is heard
  }
  void copy_page() {
    auto* chosen = one_running(prompts);
    if (!chosen || chosen->second.n_copied == chosen->second.n_pages)
      return;
    named_page page;
    page.name.bytes[0] = static_cast<std::uint8_t>(++chosen->second.n_copied);
    RC_ASSERT(host.running.at(chosen->second.id).ships_to->put(page, any_page()));
  }
  void end_prompt() {
    auto* chosen = one_running(prompts);
    if (!chosen)
      return;
    auto& [attempt, one] = *chosen;
    const auto shipment = host.running.at(one.id).ships_to; // its pages may still be copied
    host.running.erase(one.id);
    if (*rc::gen::arbitrary<bool>()) {
      generation_finished end;
      end.reason = *rc::gen::element(finish_reason::length, finish_reason::stop, finish_reason::deadline);
      one.is_given_up = end.reason == finish_reason::deadline;
      core.happened(one.id, end);
    } else {
      one.is_given_up = true;
      core.happened(one.id, generation_failed{500, "x", "broken", "", 0});
    }
    look();
    RC_ASSERT((one.now == phase::ended) == one.is_given_up);
    named_page late;
    late.name.bytes[0] = static_cast<std::uint8_t>(one.n_copied + 1);
    RC_ASSERT((one.n_copied == one.n_pages || shipment->put(late, any_page()) != one.is_given_up));
    one.n_copied += one.n_copied < one.n_pages && !one.is_given_up ? 1 : 0;
  }
  void tell_copies() {
    for (; !host.copies.empty(); host.copies.pop_front()) {
      const auto& one = host.copies.front();
      core.copied(one.attempt, one.page, one.bytes);
    }
    for (; !host.over.empty(); host.over.pop_front())
      core.shipment_over(host.over.front());
  }
  void cancel() {
    const auto attempt = a_known_attempt();
    core.take(stream_cancel{attempt}, now);
    pages.erase(attempt);
    for (auto* one : {streams.contains(attempt) ? &streams[attempt].now : nullptr,
                      prompts.contains(attempt) ? &prompts[attempt].now : nullptr})
      if (one && *one == phase::running)
        *one = phase::cancelled;
  }
  void grant(int n) {
    n_credits += n;
    core.take(batch_credit{n}, now);
  }
  void receive_page() {
    const auto* chosen = one_running(streams);
    shipped_page page;
    page.attempt = chosen ? chosen->first : n_attempts + 1; // which is ordered when all are there
    const auto format = arrivals->format_name();
    page.format.assign(reinterpret_cast<const char*>(format.bytes.data()), format.bytes.size());
    page.name = std::to_string(++n_tokens);
    page.bytes.assign(page_size_bytes, 'x');
    const bool is_damaged = *rc::gen::inRange(0, 4) == 0;
    page.checksum = arriving_pages::checksum_of(page.bytes) + (is_damaged ? 1U : 0U);
    core.take(page, now);
    const auto sent = core.take_messages();
    RC_ASSERT(sent.size() == 1U);
    const auto& receipt = std::get<page_receipt>(sent[0]);
    RC_ASSERT(receipt.attempt == page.attempt);
    RC_ASSERT((receipt.n_pages == 0) == is_damaged);
    RC_ASSERT(receipt.why.empty() != is_damaged);
    pages[page.attempt] += is_damaged ? 0U : 1U;
  }
  /// What is rare.
  void disturb() {
    switch (*rc::gen::inRange(0, 4)) {
    case 0:
      for (auto& [attempt, one] : prompts)
        one.is_given_up = true;
      core.hand_over_all();
      n_credits += 1; // the last batch needs none
      look();
      for (const auto& [attempt, one] : streams)
        RC_ASSERT(one.now != phase::running);
      for (const auto& [attempt, one] : prompts)
        RC_ASSERT(one.now != phase::running);
      break;
    case 1:
      core.take(orders_void{}, now);
      lose_all();
      break;
    case 2:
      core.left();
      lose_all();
      RC_ASSERT(core.take_messages().empty());
      core.report_status();
      core.hand_over_all();
      RC_ASSERT(core.take_messages().empty());
      core.joined(n_credits = *rc::gen::inRange(0, 4));
      break;
    default: {
      core.report_status();
      const auto sent = core.take_messages();
      RC_ASSERT(sent.size() == 1U);
      RC_ASSERT(std::get<worker_status>(sent[0]).n_running >= 0);
    }
    }
  }
  void lose_all() {
    for (auto& [attempt, one] : streams)
      if (one.now == phase::running)
        one.now = phase::cancelled;
    for (auto& [attempt, one] : prompts)
      if (one.now == phase::running)
        one.now = phase::cancelled;
    pages.clear();
    RC_ASSERT(!core.holds_progress());
    RC_ASSERT(core.n_streams() == 0);
  }

  void got(const stream_progress& one) {
    auto& known = streams.at(one.attempt);
    RC_ASSERT(known.now == phase::running);
    for (const auto& token : one.delta.tokens)
      known.got.push_back(token.id);
    RC_ASSERT(known.got.size() <= known.made.size());
    RC_ASSERT(std::equal(known.got.begin(), known.got.end(), known.made.begin()));
    RC_ASSERT(one.finished.has_value() + one.failed.has_value() + one.is_handed_over <= 1);
    if (one.finished || one.failed) {
      RC_ASSERT(known.is_made);
      RC_ASSERT(known.got == known.made);
    }
    if (one.finished || one.failed || one.is_handed_over)
      known.now = phase::ended;
  }
  void got(const shipped_page& page) {
    auto& known = prompts.at(page.attempt);
    RC_ASSERT(known.now == phase::running);
    RC_ASSERT(static_cast<int>(page.name[0]) == ++known.n_got);
    RC_ASSERT(page.bytes.size() == page_size_bytes);
    RC_ASSERT(page.checksum == arriving_pages::checksum_of(page.bytes));
  }
  void got(const prefill_ended& end) {
    auto& known = prompts.at(end.attempt);
    RC_ASSERT(known.now == phase::running);
    RC_ASSERT(end.why.empty() == (known.n_got == known.n_pages && !known.is_given_up));
    known.now = phase::ended;
  }
  void look() {
    for (const auto& message : core.take_messages()) {
      if (const auto* batch = std::get_if<step_batch>(&message)) {
        RC_ASSERT(--n_credits >= 0);
        for (const auto& one : batch->streams)
          got(one);
      } else if (const auto* page = std::get_if<shipped_page>(&message))
        got(*page);
      else
        got(std::get<prefill_ended>(message));
    }
    RC_ASSERT(core.check_integrity() == "");
    int n_working = 0;
    for (const auto& [attempt, one] : streams) {
      RC_ASSERT((one.now == phase::running || !host.running.contains(one.id)));
      n_working += host.running.contains(one.id) ? 1 : 0;
    }
    for (const auto& [attempt, one] : prompts) {
      RC_ASSERT((one.now == phase::running || !host.running.contains(one.id)));
      n_working += one.now == phase::running ? 1 : 0;
    }
    RC_ASSERT(core.n_streams() == n_working);
    std::erase_if(pages, [&](const auto& some) { // they go with their stream
      return streams.contains(some.first) && !host.running.contains(streams.at(some.first).id);
    });
    std::size_t n_waiting = 0;
    for (const auto& [attempt, n] : pages)
      n_waiting += n;
    RC_ASSERT(arrivals->n_waiting() == n_waiting);
  }

  static cluster_config config() {
    cluster_config made;
    made.max_held_tokens = most_held;
    return made;
  }

  steady_time now{1000h};
  prompt_format format = plain_format();
  std::shared_ptr<arriving_pages> arrivals =
      std::make_shared<arriving_pages>(arriving_pages_options{"fake", page_size_bytes, 1 << 20}, nullptr);
  recording_host host;
  worker_core core{config(), format, {std::make_shared<prefix_journal>(), arrivals}, host};
  int n_credits = 2;
  attempt_id n_attempts = 0;
  token_id n_tokens = 0;
  std::map<attempt_id, routed_stream> streams;
  std::map<attempt_id, routed_prompt> prompts;
  std::map<attempt_id, std::size_t> pages; ///< that came for a stream
};

} // namespace

// Planted bugs that it caught: an attempt begun twice; what is cancelled or handed over goes on being made;
// held tokens or pages outlive their stream; batches without a credit, or none for a new one; a stream's last
// event not its end; pages not counted, or the shipment not closed; progress behind a lost router.
RC_GTEST_PROP(WorkerCore, WhateverComesItsRouterHearsOfEachAttemptAllThatWasMadeOnceAndOneEnd, ()) {
  play one;
  for (int i = *rc::gen::inRange(0, 150); i > 0; --i)
    one.step();
  one.conclude();
}

namespace {

class working : public ::testing::Test {
protected:
  working() { core.joined(4); }

  request_id order(attempt_id attempt) {
    stream_order order;
    order.attempt = attempt;
    order.prompt = {1, 2, 3};
    order.time_left_ms = 1000;
    core.take(order, now);
    return host.running.rbegin()->first;
  }
  static generation_delta tokens(int n) {
    generation_delta delta;
    delta.tokens.resize(static_cast<std::size_t>(n));
    return delta;
  }

  steady_time now{1000h};
  prompt_format format = plain_format();
  std::shared_ptr<prefix_journal> journal = std::make_shared<prefix_journal>();
  recording_host host;
  cluster_config config;
  worker_core core{config, format, {journal, nullptr}, host};
};

} // namespace

TEST_F(working, AChangeAndALaterDeadlineReachTheRequestAndNobodyElse) {
  const auto id = order(7);
  const auto deadline = host.running.at(id).deadline;
  EXPECT_EQ(deadline.at(), now + 1s);
  core.take(stream_postponement{7, 5000}, now);
  core.take(stream_postponement{8, 9000}, now);
  EXPECT_EQ(deadline.at(), now + 5s);
  generation_change change;
  change.priority = 3;
  core.take(stream_change{7, change}, now);
  core.take(stream_change{8, change}, now);
  EXPECT_EQ(host.changes, (std::vector<std::pair<request_id, int>>{{id, 3}}));
}

TEST_F(working, WhoKeepsNoPrefixesSaysSoInsteadOfShippingOrTakingPages) {
  prefill_order prompt;
  prompt.attempt = 3;
  prompt.prompt = {1, 2};
  core.take(prompt, now);
  shipped_page page;
  page.attempt = 4;
  core.take(page, now);
  const auto sent = core.take_messages();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(std::get<prefill_ended>(sent[0]).attempt, 3U);
  EXPECT_NE(std::get<prefill_ended>(sent[0]).why, "");
  EXPECT_EQ(std::get<page_receipt>(sent[1]).n_pages, 0);
  EXPECT_NE(std::get<page_receipt>(sent[1]).why, "");
  EXPECT_TRUE(host.running.empty());
}

TEST_F(working, APromptsPagesGoOnAsTheirReceiptsCome) {
  config.dead_after = 1ms; // of patience
  const std::size_t whole_window_bytes = 8 << 20;
  const auto arrivals =
      std::make_shared<arriving_pages>(arriving_pages_options{"fake", whole_window_bytes, 0}, nullptr);
  worker_core shipping{config, format, {nullptr, arrivals}, host};
  shipping.joined(1);
  prefill_order prompt;
  prompt.attempt = 3;
  prompt.prompt.assign(100, 1);
  shipping.take(prompt, now);
  const auto shipment = host.running.rbegin()->second.ships_to;
  named_page page;
  EXPECT_TRUE(shipment->put(page, any_page()));
  shipping.take(page_receipt{3, 1, ""}, now);
  page.name.bytes[0] = 1;
  EXPECT_TRUE(shipment->put(page, any_page()));
  shipping.take(page_receipt{4, 1, ""}, now); // another's
  page.name.bytes[0] = 2;
  EXPECT_FALSE(shipment->put(page, any_page())) << "one may be under way";
}

TEST_F(working, AStatusTellsStreamsTheDrainAndPagesAndAllOfThemToANewRouter) {
  const auto tree = journal->begin();
  journal->added(tree, 11);
  order(1);
  order(2);
  core.drain();
  core.report_status();
  const auto sent = core.take_messages();
  ASSERT_EQ(sent.size(), 1U);
  const auto& status = std::get<worker_status>(sent[0]);
  EXPECT_EQ(status.n_running, 2);
  EXPECT_TRUE(status.is_draining);
  EXPECT_EQ(status.added, std::vector<page_hash>{11});
  core.report_status();
  EXPECT_TRUE(std::get<worker_status>(core.take_messages().at(0)).added.empty());
  core.left();
  core.joined(1);
  core.report_status();
  EXPECT_EQ(std::get<worker_status>(core.take_messages().at(0)).added, std::vector<page_hash>{11});
}

TEST_F(working, WhatIsHandedOverInTheEndComesBehindWhatWasMade) {
  core.joined(0);
  core.happened(order(1), tokens(3));
  core.flush();
  EXPECT_TRUE(core.take_messages().empty());
  core.hand_over_all();
  const auto sent = core.take_messages();
  ASSERT_EQ(sent.size(), 1U);
  const auto& streams = std::get<step_batch>(sent[0]).streams;
  ASSERT_EQ(streams.size(), 2U);
  EXPECT_EQ(streams[0].delta.tokens.size(), 3U);
  EXPECT_FALSE(streams[0].is_handed_over);
  EXPECT_TRUE(streams[1].is_handed_over);
}

} // namespace souffleur
