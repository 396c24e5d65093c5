// Requests that share one answer, against a model that keeps what each of them has to have been told: any
// interleaving of coming, leaving, running out of time, tokens and ends (C9).
#include "actors/flight_board.hpp"
#include "tests/actors/answer_recorder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

namespace souffleur {
namespace {

using namespace souffleur::testing;
using std::chrono::seconds;

key_digest name_of(unsigned n) {
  key_encoder encoder;
  encoder.add(std::int64_t{n});
  return encoder.digest();
}

generation_delta delta_of(token_id id) {
  const std::string text{static_cast<char>('a' + id % 26)};
  return {{{id, token_origin::model, text, text, std::nullopt}}, "", std::nullopt};
}

struct model_reader {
  request_id id = 0;
  request_id generation = 0;
  steady_time deadline;
  bool is_first = false;
  std::shared_ptr<answer_recorder> recorder = std::make_shared<answer_recorder>();
  std::shared_ptr<reply_handle> reply;
};

struct model_flight {
  std::optional<unsigned> name;
  bool is_secluded = false;
  steady_time deadline;
  bool is_given_up = false; ///< and not ended yet
  std::vector<token_id> tokens;
  std::vector<request_id> readers;
  std::shared_ptr<reply_handle> reply;
};

class play {
public:
  ~play() {
    for (auto& [generation, flight] : flights_) // whatever is still in the air ends before the board goes
      flight.reply->finish({});
  }

  void come(unsigned name, unsigned n_seconds, bool alone) {
    auto& reader = readers_[++n_readers_];
    reader.id = n_readers_;
    reader.deadline = now_ + seconds{1 + n_seconds};
    reader.reply = std::make_shared<reply_handle>(sink_of(reader.recorder), nullptr, "");
    const flight_reader comes{reader.id, reader.reply, {3, 7}, now_, reader.deadline};
    const auto joinable = std::ranges::find_if(
        flights_, [&](const auto& one) { return one.second.name == name && !one.second.is_given_up; });
    const auto boarded = alone ? board_->board_alone(comes) : board_->board(name_of(name), comes);
    RC_ASSERT(boarded.is_new == (alone || joinable == flights_.end()));
    reader.generation = boarded.generation;
    if (boarded.is_new) {
      RC_ASSERT(!flights_.contains(boarded.generation));
      reader.is_first = true;
      auto& flight = flights_[boarded.generation];
      if (!alone)
        flight.name = name;
      flight.deadline = reader.deadline;
      flight.reply = board_->reply_to(boarded.generation);
      board_->on_landing(boarded.generation,
                         [this](cached_answer_ptr answer) { stored_.push_back(std::move(answer)); });
    } else {
      RC_ASSERT(boarded.generation == joinable->first);
      auto& flight = joinable->second;
      flight.deadline = std::max(flight.deadline, reader.deadline);
    }
    auto& flight = flights_.at(boarded.generation);
    RC_ASSERT(board_->deadline_of(boarded.generation)->at() == flight.deadline);
    flight.readers.push_back(reader.id);
    reader.reply.reset(); // the board's is the only one
  }

  void leave(unsigned which) {
    if (readers_.empty())
      return;
    const request_id id = 1 + which % n_readers_;
    const auto left = board_->leave(id);
    const auto flight = flights_.find(readers_.at(id).generation);
    const bool was_aboard = flight != flights_.end() && std::ranges::count(flight->second.readers, id) == 1;
    RC_ASSERT(left.was_aboard == was_aboard);
    if (!was_aboard)
      return;
    check_left(id, flight->second, finish_reason::cancelled);
    std::erase(flight->second.readers, id);
    RC_ASSERT(left.deserted.has_value() == flight->second.readers.empty());
    if (left.deserted) {
      RC_ASSERT(*left.deserted == flight->first);
      flights_.erase(flight);
    }
  }

  void take_for_itself(unsigned which) {
    if (readers_.empty())
      return;
    const request_id id = 1 + which % n_readers_;
    const auto taken = board_->take_for_itself(id);
    const auto flight = flights_.find(readers_.at(id).generation);
    const bool was_aboard = flight != flights_.end() && std::ranges::count(flight->second.readers, id) == 1;
    RC_ASSERT(taken.was_aboard == was_aboard);
    RC_ASSERT(taken.alone.has_value() == (was_aboard && flight->second.readers.size() == 1));
    if (!taken.alone)
      return;
    RC_ASSERT(*taken.alone == flight->first);
    flight->second.name.reset();
    flight->second.is_secluded = true;
    board_->on_landing(flight->first,
                       [](cached_answer_ptr) { RC_FAIL("the answer of a secluded flight is kept"); });
  }

  void pass(unsigned n_seconds) {
    now_ += seconds{n_seconds};
    auto deserted = board_->expire(now_);
    for (auto at = flights_.begin(); at != flights_.end();) {
      auto& flight = at->second;
      std::erase_if(flight.readers, [&](request_id id) {
        const auto& reader = readers_.at(id);
        const bool is_late = reader.deadline <= now_ && reader.deadline != flight.deadline;
        if (is_late)
          check_left(id, flight, finish_reason::deadline);
        return is_late;
      });
      const bool is_deserted = flight.readers.empty();
      RC_ASSERT(std::erase(deserted, at->first) == (is_deserted ? 1U : 0U));
      at = is_deserted ? flights_.erase(at) : std::next(at);
    }
    RC_ASSERT(deserted.empty());
  }

  /// Whoever answers it looks at the time; the end comes later.
  void give_up(unsigned which) {
    if (flights_.empty())
      return;
    auto& flight = some_flight(which)->second;
    flight.is_given_up |= flight.deadline <= now_;
    auto deadline = *board_->deadline_of(some_flight(which)->first);
    RC_ASSERT(deadline.give_up(now_) == flight.is_given_up);
  }

  void fly(unsigned which, token_id token) {
    if (flights_.empty())
      return;
    auto& flight = some_flight(which)->second;
    flight.reply->accepted({3, 7});
    flight.reply->delta(delta_of(token));
    flight.tokens.push_back(token);
  }

  void land(unsigned which, unsigned how) {
    if (flights_.empty())
      return;
    const auto at = some_flight(which);
    auto flight = std::move(at->second);
    flights_.erase(at);
    const auto n_stored = stored_.size();
    if (how % 4 == 0)
      flight.reply->fail({500, "failed", "It failed.", "", 0});
    else if (how % 4 == 1)
      flight.reply.reset(); // whoever answered it is dead
    else
      flight.reply->finish({how % 4 == 2 ? finish_reason::stop : finish_reason::length, "", {}});
    const bool is_stored = how % 4 == 2 && !flight.is_secluded;
    RC_ASSERT(stored_.size() == n_stored + (is_stored ? 1 : 0));
    if (is_stored)
      check_stored(*stored_.back(), flight);
    for (const auto id : flight.readers)
      check_landed(id, flight, how);
  }

  void check_quiet() {
    for (const auto& [generation, flight] : flights_)
      for (const auto id : flight.readers) {
        const auto told = readers_.at(id).recorder->now();
        RC_ASSERT(told.n_ends == 0);
        RC_ASSERT(told.tokens == flight.tokens);
      }
    for (const auto& [id, reader] : readers_)
      RC_ASSERT(reader.recorder->now().breach == "");
    RC_ASSERT(board_->empty() == flights_.empty());
  }

private:
  using flights = std::map<request_id, model_flight>;

  flights::iterator some_flight(unsigned which) {
    return std::next(flights_.begin(), static_cast<std::ptrdiff_t>(which % flights_.size()));
  }

  void check_left(request_id id, const model_flight& flight, finish_reason reason) {
    const auto told = readers_.at(id).recorder->now();
    RC_ASSERT(told.n_ends == 1);
    RC_ASSERT(told.finished.has_value());
    RC_ASSERT(told.finished->reason == reason);
    RC_ASSERT(told.tokens == flight.tokens);
    RC_ASSERT(told.finished->usage.n_output_tokens == static_cast<int>(flight.tokens.size()));
  }

  void check_landed(request_id id, const model_flight& flight, unsigned how) {
    const auto told = readers_.at(id).recorder->now();
    RC_ASSERT(told.n_ends == 1);
    RC_ASSERT(told.tokens == flight.tokens);
    RC_ASSERT(told.failed.has_value() == (how % 4 < 2));
    if (told.failed)
      RC_ASSERT(told.failed->status == (how % 4 == 0 ? 500 : 503));
    if (told.finished)
      RC_ASSERT(told.finished->usage.source ==
                (readers_.at(id).is_first ? answer_source::model : answer_source::flight));
  }

  static void check_stored(const cached_answer& answer, const model_flight& flight) {
    RC_ASSERT(answer.pieces.size() == flight.tokens.size());
    std::string text;
    for (std::size_t i = 0; i < flight.tokens.size(); ++i) {
      RC_ASSERT(answer.pieces[i].id == flight.tokens[i]);
      text += static_cast<char>('a' + flight.tokens[i] % 26);
    }
    RC_ASSERT(answer.text() == text);
  }

  std::shared_ptr<flight_board> board_ =
      std::make_shared<flight_board>(std::make_shared<serving_metrics>("model"));
  steady_time now_ = std::chrono::steady_clock::now();
  request_id n_readers_ = 0;
  std::map<request_id, model_reader> readers_;
  flights flights_;
  std::vector<cached_answer_ptr> stored_;
};

struct act {
  unsigned kind = 0;
  unsigned a = 0;
  unsigned b = 0;
};

RC_GTEST_PROP(FlightBoard, EachReaderGetsTheWholeStreamOnceWhoeverComesAndGoes, ()) {
  play one;
  const auto acts = *rc::gen::container<std::vector<std::tuple<unsigned, unsigned, unsigned>>>(
      rc::gen::tuple(rc::gen::inRange(0U, 15U), rc::gen::inRange(0U, 64U), rc::gen::inRange(0U, 64U)));
  for (const auto& [kind, a, b] : acts) {
    if (kind < 4)
      one.come(a % 3, b % 8, a % 16 == 15);
    else if (kind < 6)
      one.leave(a);
    else if (kind == 6)
      one.pass(a % 4);
    else if (kind < 11)
      one.fly(a, static_cast<token_id>(b));
    else if (kind < 13)
      one.give_up(a);
    else if (kind == 13)
      one.take_for_itself(a);
    else
      one.land(a, b);
    one.check_quiet();
  }
}

TEST(FlightBoard, WhoComesLaterMayComeFromAnotherThread) {
  const auto board = std::make_shared<flight_board>(std::make_shared<serving_metrics>("model"));
  const auto recorder = std::make_shared<answer_recorder>();
  const auto far = std::chrono::steady_clock::now() + seconds{60};
  const auto reader = [&](request_id id) {
    return flight_reader{id, std::make_shared<reply_handle>(sink_of(recorder), nullptr, ""), {1, 1}, {}, far};
  };
  const auto flight = board->board(name_of(1), reader(1));
  const auto reply = board->reply_to(flight.generation);
  EXPECT_TRUE(board->leave(1).deserted.has_value());
  EXPECT_FALSE(board->deadline_of(flight.generation).has_value());
  reply->delta(delta_of(1)); // nobody reads it
  reply->finish({});
  EXPECT_TRUE(board->board(name_of(1), reader(2)).is_new);
  EXPECT_EQ(recorder->now().tokens.size(), 0U);
  board->leave(2);
}

TEST(FlightBoard, WhoComesInTheMomentAFlightIsGivenUpJoinsInTimeOrHasOneOfItsOwn) {
  const auto board = std::make_shared<flight_board>(std::make_shared<serving_metrics>("model"));
  const auto now = std::chrono::steady_clock::now();
  int n_joined = 0;
  for (request_id id = 1; id < 2000; id += 2) {
    const auto early = std::make_shared<answer_recorder>();
    const auto late = std::make_shared<answer_recorder>();
    const auto reader = [&](request_id who, const auto& recorder, steady_time deadline) {
      return flight_reader{
          who, std::make_shared<reply_handle>(sink_of(recorder), nullptr, ""), {1, 1}, now, deadline};
    };
    const auto first = board->board(name_of(1), reader(id, early, now));
    bool was_given_up = false;
    std::thread engine{[&, deadline = *board->deadline_of(first.generation),
                        reply = board->reply_to(first.generation)]() mutable {
      was_given_up = deadline.give_up(now);
      reply->finish({was_given_up ? finish_reason::deadline : finish_reason::stop, "", {}});
    }};
    const auto second = board->board(name_of(1), reader(id + 1, late, now + seconds{9}));
    engine.join();
    n_joined += second.is_new ? 0 : 1;
    if (second.is_new)
      board->reply_to(second.generation)->finish({finish_reason::stop, "", {}});
    ASSERT_TRUE(second.is_new || !was_given_up);
    ASSERT_EQ(late->now().finished->reason, finish_reason::stop);
    ASSERT_EQ(early->now().n_ends, 1);
    ASSERT_EQ(late->now().n_ends, 1);
  }
  EXPECT_TRUE(board->empty());
  RecordProperty("joined", n_joined);
}

} // namespace
} // namespace souffleur
