// The generator against a server without a model, over real sockets.
#include "examples/load/load_run.hpp"
#include "examples/load/summary.hpp"
#include "tests/load_generator/stub_server.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

using namespace souffleur;
using namespace souffleur::load;
using souffleur::testing::stub_behaviour;
using souffleur::testing::stub_server;
using std::chrono::microseconds;

namespace {

/// Dialogues of one shape whose texts are their numbers.
class numbered_dialogues final : public workload {
public:
  explicit numbered_dialogues(std::vector<int> after = {-1}) : after_(std::move(after)) {}
  dialogue at(std::uint64_t i) const override {
    dialogue made{"system", {}};
    for (std::size_t turn = 0; turn < after_.size(); ++turn)
      made.turns.push_back({std::to_string(i) + "." + std::to_string(turn), after_[turn]});
    return made;
  }

private:
  std::vector<int> after_;
};

load_outcome run(const std::string& url, const load_settings& how,
                 const workload& what = numbered_dialogues{}) {
  boost::asio::io_context io{1};
  const auto where = make_target(url, false, {});
  live_counts live;
  const bool stopping = false;
  auto outcome = run_load(io, **where, what, how, live, stopping);
  EXPECT_EQ(live.n_in_flight, 0);
  return outcome;
}

load_settings closed(int n_clients, int n_requests, int max_tokens = 5) {
  load_settings how;
  how.n_clients = n_clients;
  how.n_requests = n_requests;
  how.max_tokens = max_tokens;
  return how;
}

/// Answers of one token, asked for at random times.
load_settings open_loop(double rate, int n_requests) {
  load_settings how;
  how.max_tokens = 1;
  how.n_requests = n_requests;
  how.arrivals = [rate] { return make_arrivals({rate, rate, 0, 1, 7}); };
  return how;
}

stub_behaviour first_token_after(microseconds wait) {
  stub_behaviour slow;
  slow.first = wait;
  return slow;
}

std::string last_message(const boost::json::object& request) {
  return std::string{request.at("messages").as_array().back().at("content").as_string()};
}

class EitherProtocol : public ::testing::TestWithParam<bool> {
protected:
  static std::string url(const stub_server& server) {
    return GetParam() ? server.stream_url() : server.http_url();
  }
};

TEST_P(EitherProtocol, EachRequestIsSentOnceAndItsTokensAreCounted) {
  stub_server server{{}};
  const auto outcome = run(url(server), closed(4, 40));
  ASSERT_EQ(outcome.records.size(), 40U);
  for (const auto& record : outcome.records) {
    EXPECT_EQ(record.outcome, request_outcome::completed) << record.error;
    EXPECT_EQ(record.text, "t0 t1 t2 t3 t4 ");
    EXPECT_EQ(record.n_output_tokens, 5);
    EXPECT_EQ(record.n_prompt_tokens, 7);
    EXPECT_EQ(record.n_cached_tokens, 3);
    EXPECT_TRUE(record.counted_by_server);
    EXPECT_EQ(record.finish_reason, "length");
    EXPECT_LE(record.intended_ns, record.sent_ns);
    EXPECT_TRUE(std::is_sorted(record.output_ns.begin(), record.output_ns.end()));
    EXPECT_LE(record.output_ns.back(), record.ended_ns);
  }
  std::set<std::string> asked;
  for (const auto& request : server.requests())
    asked.insert(last_message(request));
  EXPECT_EQ(asked.size(), 40U);
  EXPECT_LE(server.most_at_once(), 4);
  EXPECT_EQ(server.n_connections(), 4) << "connections are used again";
}

TEST_P(EitherProtocol, WithoutUsageTokensAreCountedByWhatComes) {
  stub_behaviour silent;
  silent.usage = false;
  silent.interval = microseconds{300};
  stub_server server{silent};
  const auto outcome = run(url(server), closed(1, 3));
  for (const auto& record : outcome.records) {
    EXPECT_EQ(record.n_output_tokens, 5);
    EXPECT_FALSE(record.counted_by_server);
  }
}

TEST_P(EitherProtocol, ALaterTurnHasTheAnswerBeforeIt) {
  stub_server server{{}};
  const auto outcome = run(url(server), closed(1, 3, 2), numbered_dialogues{{-1, 0, 1}});
  ASSERT_EQ(outcome.records.size(), 3U);
  const auto requests = server.requests();
  const auto& messages = requests.back().at("messages").as_array();
  std::vector<std::string> said;
  for (const auto& each : messages)
    said.push_back(std::string{each.at("role").as_string()} + ":" +
                   std::string{each.at("content").as_string()});
  EXPECT_EQ(said, (std::vector<std::string>{"system:system", "user:0.0", "assistant:t0 t1 ", "user:0.1",
                                            "assistant:t0 t1 ", "user:0.2"}));
}

TEST_P(EitherProtocol, TurnsThatFollowTheSameOneRunAtTheSameTime) {
  stub_server server{first_token_after(microseconds{50'000})};
  const auto outcome = run(url(server), closed(1, 4, 1), numbered_dialogues{{-1, 0, 0, 0}});
  EXPECT_EQ(outcome.records.size(), 4U);
  EXPECT_EQ(server.most_at_once(), 3);
}

TEST_P(EitherProtocol, AFailureIsNamedAndEndsItsDialogue) {
  stub_behaviour failing;
  failing.fails_every = 3;
  stub_server server{failing};
  const auto outcome = run(url(server), closed(1, 6), numbered_dialogues{{-1, 0, 1}});
  const auto sum = summarize(outcome, false, {});
  EXPECT_EQ(sum.n_completed, 4);
  EXPECT_EQ(sum.n_failed, 2);
  ASSERT_EQ(sum.errors.size(), 1U);
  EXPECT_NE(sum.errors.begin()->first.find("no"), std::string::npos);
}

TEST_P(EitherProtocol, ARequestThatIsGivenUpIsCancelledAtTheServer) {
  stub_behaviour slow;
  slow.interval = microseconds{2000};
  stub_server server{slow};
  auto how = closed(2, 6, 200);
  how.cancel_share = 1;
  how.cancel_after = 3;
  const auto outcome = run(url(server), how);
  for (const auto& record : outcome.records) {
    EXPECT_EQ(record.outcome, request_outcome::cancelled);
    EXPECT_GE(record.output_ns.size(), 3U);
    EXPECT_LT(record.output_ns.size(), 100U);
  }
}

TEST_P(EitherProtocol, AnOpenLoopSendsWhenItIsTimeWhateverTheServerDoes) {
  stub_server server{first_token_after(microseconds{150'000})};
  const auto how = open_loop(400, 20);
  const auto outcome = run(url(server), how);
  ASSERT_EQ(outcome.records.size(), 20U);
  EXPECT_GT(server.most_at_once(), 10) << "nobody waits for an answer";
  const auto same = how.arrivals();
  for (const auto& record : outcome.records)
    EXPECT_EQ(record.intended_ns, static_cast<std::int64_t>(*same->next() * 1e9));
}

TEST_P(EitherProtocol, ABoundOnRequestsInFlightHoldsAndTheQueueIsReported) {
  stub_server server{first_token_after(microseconds{20'000})};
  auto how = open_loop(10'000, 12);
  how.max_in_flight = 3;
  const auto sum = summarize(run(url(server), how), true, {});
  EXPECT_EQ(sum.n_completed, 12);
  EXPECT_LE(server.most_at_once(), 3);
  EXPECT_GT(sum.client_queue.max(), sum.ttft.min()) << "the last waited for three others";
  EXPECT_GT(sum.e2el_including_client_queue.max(), sum.e2el.max());
}

TEST_P(EitherProtocol, WarmUpAndProbesDoNotCount) {
  stub_behaviour slow;
  slow.interval = microseconds{2000};
  stub_server server{slow};
  auto how = closed(2, 10, 20);
  how.n_warm_up = 4;
  how.probe_rate = 200;
  const auto outcome = run(url(server), how);
  const auto n_of = [&](request_role role) {
    return std::count_if(outcome.records.begin(), outcome.records.end(),
                         [&](const auto& record) { return record.role == role; });
  };
  EXPECT_EQ(n_of(request_role::warm_up), 4);
  EXPECT_EQ(n_of(request_role::measured), 10);
  EXPECT_GT(n_of(request_role::probe), 0);
  const auto sum = summarize(outcome, false, {});
  EXPECT_EQ(sum.n_completed, 10);
  EXPECT_EQ(sum.n_output_tokens, 200);
  EXPECT_EQ(sum.n_probes, n_of(request_role::probe));
}

INSTANTIATE_TEST_SUITE_P(Protocols, EitherProtocol, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WebSocket" : "ServerSentEvents"; });

TEST(LoadRun, AConnectionThatTheServerHasDroppedIsReplaced) {
  stub_behaviour dropping;
  dropping.drops_answers = true;
  stub_server server{dropping};
  const auto outcome = run(server.http_url(), closed(2, 10));
  for (const auto& record : outcome.records)
    EXPECT_EQ(record.outcome, request_outcome::completed) << record.error;
  EXPECT_EQ(server.requests().size(), 10U) << "nothing is asked twice";
}

TEST(LoadRun, EachRequestHasAConnectionOfItsOwnOnDemand) {
  stub_server server{{}};
  auto how = closed(2, 10);
  how.new_connections = true;
  run(server.http_url(), how);
  EXPECT_EQ(server.n_connections(), 10);
}

TEST(LoadRun, AServerThatIsNotThereFailsEveryRequest) {
  const auto outcome = run("http://127.0.0.1:1", closed(1, 2));
  ASSERT_EQ(outcome.records.size(), 2U);
  EXPECT_EQ(outcome.records.front().outcome, request_outcome::failed);
  EXPECT_FALSE(outcome.records.front().error.empty());
}

TEST(LoadRun, PiecesOfOneMomentAreOneOutput) {
  request_record record;
  live_counts live;
  const run_clock clock;
  answer_log log{record, clock, live};
  const auto now = std::chrono::steady_clock::now();
  log.output(now, "a");
  log.output(now, "b");
  log.output(now + microseconds{5}, "c");
  EXPECT_EQ(record.output_ns.size(), 2U);
  EXPECT_EQ(record.n_output_tokens, 3);
  EXPECT_EQ(record.text, "abc");
}

} // namespace
