#include "actors/embedding_queue.hpp"

#include "tests/actors/fake_embedder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

namespace souffleur {
namespace {

using namespace testing;
using std::chrono::seconds;

struct queue_play {
  std::shared_ptr<fake_embedder> embedder = std::make_shared<fake_embedder>();
  std::shared_ptr<admission_credits> credits = std::make_shared<admission_credits>(1 << 20);
  embedding_queue queue{embedder};
  steady_time now{};

  std::shared_ptr<embedding_asker> ask(std::vector<std::string> texts, seconds patience = seconds{1000}) {
    auto asker = std::make_shared<embedding_asker>();
    asker->texts = std::move(texts);
    queue.add(*demand_of(asker, credits, now + patience));
    return asker;
  }
  std::size_t n_embedded() const {
    return std::accumulate(embedder->texts_of_rounds.begin(), embedder->texts_of_rounds.end(),
                           std::size_t{0});
  }
};

std::vector<std::string> any_texts() {
  std::vector<std::string> texts;
  for (int n = *rc::gen::inRange(0, 12); n > 0; --n)
    texts.push_back(std::string(*rc::gen::inRange<std::size_t>(0, 80), *rc::gen::inRange('a', 'z')));
  return texts;
}

// Planted bugs that it caught: texts of a demand in the order of their rounds, whoever they belong to; a
// demand that goes on until it is complete; nobody looks at deadlines behind the front; a round of any size.
RC_GTEST_PROP(EmbeddingQueue, everybody_gets_one_answer_and_waits_for_one_text_of_each_who_was_there_before,
              ()) {
  queue_play play;
  struct guest {
    std::shared_ptr<embedding_asker> asker;
    steady_time deadline;
    std::size_t n_before = 0; ///< texts that had been embedded when it came
    std::size_t n_ahead = 0;  ///< demands that waited then
  };
  std::vector<guest> guests;
  const auto is_open = [](const guest& one) { return one.asker->events.empty(); };
  const auto run_round = [&] {
    std::vector<guest> open;
    std::copy_if(guests.begin(), guests.end(), std::back_inserter(open), is_open);
    const auto n_at_start = play.n_embedded();
    play.queue.run_round(play.now);
    for (const auto& one : open) {
      RC_ASSERT(!is_open(one) || one.deadline > play.now);
      if (one.asker->texts.size() == 1 && one.asker->is_answered_by(*play.embedder))
        RC_ASSERT(n_at_start <= one.n_before + one.n_ahead);
    }
  };
  for (int n = *rc::gen::inRange(0, 60); n > 0; --n)
    switch (*rc::gen::inRange(0, 6)) {
    case 0:
    case 1: {
      const auto n_ahead = static_cast<std::size_t>(std::count_if(guests.begin(), guests.end(), is_open));
      const auto patience = seconds{*rc::gen::inRange(1, 30)};
      guests.push_back({play.ask(any_texts(), patience), play.now + patience, play.n_embedded(), n_ahead});
      break;
    }
    case 2:
      play.now += seconds{*rc::gen::inRange(0, 8)};
      break;
    case 3:
      if (!guests.empty())
        guests[*rc::gen::inRange<std::size_t>(0, guests.size())].asker->presence.reset();
      break;
    default:
      run_round();
    }
  while (!play.queue.empty())
    run_round();
  for (const auto& one : guests) {
    RC_ASSERT(one.asker->events.size() == 1U);
    RC_ASSERT(one.asker->is_answered_by(*play.embedder) || one.asker->has_failed_with(504) ||
              !one.asker->presence);
  }
  for (std::size_t i = 0; i < play.embedder->ids_of_rounds.size(); ++i)
    RC_ASSERT(play.embedder->ids_of_rounds[i] <= static_cast<std::size_t>(embedding_block_rows));
  RC_ASSERT(play.credits->in_flight() == 0);
}

TEST(EmbeddingQueue, a_short_demand_is_answered_in_the_round_after_it_came) {
  queue_play play;
  const auto long_one = play.ask(std::vector<std::string>(100, std::string(60, 'x')));
  play.queue.run_round(play.now);
  const auto short_one = play.ask({"short"});
  play.queue.run_round(play.now);
  EXPECT_TRUE(short_one->is_answered_by(*play.embedder));
  EXPECT_TRUE(long_one->events.empty());
}

TEST(EmbeddingQueue, who_has_left_costs_nothing_more) {
  queue_play play;
  const auto gone = play.ask(std::vector<std::string>(100, std::string(60, 'x')));
  play.queue.run_round(play.now);
  const auto n = play.n_embedded();
  gone->presence.reset();
  EXPECT_EQ(play.queue.run_round(play.now).n_texts, 0);
  EXPECT_EQ(play.n_embedded(), n);
  EXPECT_TRUE(play.queue.empty());
}

TEST(EmbeddingQueue, a_round_reports_its_texts_and_their_ids) {
  queue_play play;
  play.ask({"ab", "cde"});
  play.ask({"f"});
  const auto report = play.queue.run_round(play.now);
  EXPECT_EQ(report.n_texts, 3);
  EXPECT_EQ(report.n_ids, 6);
}

} // namespace
} // namespace souffleur
