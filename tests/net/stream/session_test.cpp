// Connections whose clients send anything, against what README.md says of a stream's states.
#include "net/stream/session.hpp"

#include "net/stream/resumable_streams.hpp"
#include "tests/net/random_json.hpp"
#include "tests/net/stream/frame_schema.hpp"

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <map>
#include <set>

namespace souffleur {
namespace {

namespace json = boost::json;
using namespace testing;
using namespace std::chrono_literals;

/// Generations that a test plays by hand.
class fake_host final : public stream_host {
public:
  struct generation {
    request_id id = 0;
    generation_request request;
    std::weak_ptr<stream> to;
    bool accepted = false;
    bool cancelled = false;
  };

  request_id submit(generation_request request, const stream_ptr& to) override {
    const auto id = ++n_submitted;
    running.push_back({id, std::move(request), to});
    return id;
  }
  void cancel(request_id id) override {
    cancelled.insert(id);
    for (auto& one : running)
      one.cancelled |= one.id == id;
  }
  void change(request_id id, const generation_change& change) override { changes.emplace_back(id, change); }
  std::string name_of(request_id id) const override { return "request-" + std::to_string(id); }
  bool thinks() const override { return is_thinker; }
  bool can_be_watched() const override { return is_watchable; }
  std::string look(stream_watch& by) override {
    serving_snapshot seen;
    seen.now = now;
    return by.frame(seen, nullptr, {});
  }
  void make_resumable(const stream_ptr& added) override { all.add(added); }
  stream_ptr find_resumable(const std::string& token, const std::string& id,
                            const std::string& tenant) override {
    return all.find(token, id, tenant);
  }
  void park(const stream_ptr& left) override { all.park(left, now); }
  void unpark(const stream& back) override { all.unpark(back); }
  void forget(const stream& gone) override { all.forget(gone); }

  void tell(generation& to, generation_event event) {
    const bool ends = std::holds_alternative<generation_finished>(event) ||
                      std::holds_alternative<generation_failed>(event);
    const auto id = to.id;
    if (const auto there = to.to.lock())
      there->deliver(id, std::move(event));
    if (ends)
      std::erase_if(running, [id](const generation& one) { return one.id == id; });
  }
  void say(generation& to, const std::string& word) {
    generation_delta delta;
    delta.tokens.push_back({1, token_origin::model, word, word, {}});
    tell(to, std::move(delta));
  }
  void answer(const std::string& word) {
    tell(running.back(), generation_accepted{1, 2});
    say(running.back(), word);
    tell(running.back(), generation_finished{});
  }

  stream_time now{1h};
  resumable_streams all{30s, 100};
  std::vector<generation> running;
  std::set<request_id> cancelled;
  std::vector<std::pair<request_id, generation_change>> changes;
  request_id n_submitted = 0;
  bool is_watchable = true;
  bool is_thinker = false;
};

class one_session : public ::testing::Test {
protected:
  json::object next() {
    const auto frame = session.next(host.now);
    EXPECT_TRUE(frame);
    return frame ? json::parse(*frame).as_object() : json::object{};
  }
  std::vector<json::object> all_frames() {
    std::vector<json::object> all;
    while (const auto frame = session.next(host.now))
      all.push_back(json::parse(*frame).as_object());
    return all;
  }
  std::string code_of(const std::string& frame) {
    session.obey(frame, host.now);
    const auto said = next();
    return said.contains("error") ? std::string{said.at("error").at("code").as_string()} : "";
  }
  void obey(const std::string& frame) { session.obey(frame, host.now); }

  fake_host host;
  stream_limits limits;
  stream_session session{host, limits, "served", "t", [] {}};
};

const std::string chat_a = R"({"type":"generate","id":"a","messages":[{"role":"user","content":"one"}]})";
const std::string more_a = R"({"type":"append","id":"a","messages":[{"role":"user","content":"three"}]})";

const std::string watch_w = R"({"type":"watch","id":"w","interval_ms":500})";

TEST_F(one_session, aWatchTellsAtItsIntervalUntilItIsCancelled) {
  auto schema = frame_schema::of_server();
  obey(watch_w);
  for (int seq = 0; seq < 3; ++seq) {
    const auto frame = next();
    EXPECT_EQ(frame.at("type").as_string(), "watched");
    EXPECT_EQ(frame.at("seq").as_int64(), seq);
    EXPECT_TRUE(schema.allows(frame)) << json::serialize(frame);
    EXPECT_FALSE(session.next(host.now));
    EXPECT_EQ(session.due(), host.now + 500ms);
    host.now += 500ms;
  }
  obey(R"({"type":"cancel","id":"w"})");
  const auto last = next();
  EXPECT_EQ(last.at("type").as_string(), "unwatched");
  EXPECT_EQ(last.at("seq").as_int64(), 3);
  EXPECT_TRUE(schema.allows(last));
  EXPECT_FALSE(session.next(host.now));
  EXPECT_FALSE(session.due());
}

TEST_F(one_session, aWatchWaitsForTheStreams) {
  obey(watch_w);
  obey(chat_a);
  host.answer("two");
  const auto frames = all_frames();
  ASSERT_EQ(frames.size(), 4U);
  EXPECT_EQ(frames[0].at("request").as_string(), "request-1");
  EXPECT_EQ(frames[2].at("type").as_string(), "done");
  EXPECT_EQ(frames[3].at("type").as_string(), "watched");
}

TEST_F(one_session, aConnectionHasOneWatchUnderAnIdOfItsOwn) {
  obey(watch_w);
  next();
  EXPECT_EQ(code_of(R"({"type":"watch","id":"v"})"), "duplicate_stream");
  EXPECT_EQ(code_of(R"({"type":"generate","id":"w","prompt":"x"})"), "duplicate_stream");
  EXPECT_EQ(code_of(R"({"type":"watch","id":"w","interval_ms":5})"), "invalid_value");
  obey(R"({"type":"watch","id":"w","interval_ms":100})");
  EXPECT_EQ(next().at("seq").as_int64(), 1) << "it goes on";
  EXPECT_EQ(session.due(), host.now + 100ms);
  host.is_watchable = false;
  EXPECT_EQ(code_of(watch_w), "nothing_to_watch");
}

TEST_F(one_session, appendAsksAsIfAllHadBeenSent) {
  obey(chat_a);
  host.answer("two");
  EXPECT_TRUE(all_frames().back().at("appendable").as_bool());
  obey(more_a);
  ASSERT_EQ(host.running.size(), 1U);
  const auto& asked = std::get<chat_prompt>(host.running[0].request.prompt).messages;
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[1].at("role"), "assistant");
  EXPECT_EQ(asked[1].at("content"), "two");
  EXPECT_EQ(asked[2].at("content"), "three");
  EXPECT_EQ(host.running[0].request.tenant, "t");
  host.answer("four");
  EXPECT_EQ(next().at("seq"), 3);
}

TEST_F(one_session, aTurnThatFailsLeavesTheConversationAsItWas) {
  obey(chat_a);
  host.answer("two");
  all_frames();
  obey(more_a);
  host.tell(host.running[0], generation_failed{503, "busy", "Later.", "", 1});
  EXPECT_EQ(all_frames().back().at("type"), "error");
  obey(more_a);
  ASSERT_EQ(host.running.size(), 1U);
  EXPECT_EQ(std::get<chat_prompt>(host.running[0].request.prompt).messages.size(), 3U);
}

TEST_F(one_session, ofACancelledAnswerTheClientsPartCounts) {
  obey(R"({"type":"generate","id":"a","messages":[{"role":"user","content":"one"}],"credit":1})");
  host.tell(host.running[0], generation_accepted{1, 2});
  host.say(host.running[0], "seen");
  host.say(host.running[0], "unseen");
  all_frames();
  obey(R"({"type":"cancel","id":"a"})");
  EXPECT_TRUE(host.cancelled.contains(1));
  host.tell(host.running[0], generation_finished{finish_reason::cancelled, "", {}});
  all_frames();
  obey(more_a);
  EXPECT_EQ(std::get<chat_prompt>(host.running[0].request.prompt).messages[1].at("content"), "seen");
}

TEST_F(one_session, appendIsRefusedWithAReason) {
  EXPECT_EQ(code_of(more_a), "unknown_stream");
  obey(chat_a);
  EXPECT_EQ(code_of(more_a), "stream_running");
  host.answer("two");
  all_frames();
  EXPECT_EQ(code_of(R"({"type":"append","id":"a","prompt":"x"})"), "missing_required_parameter");
  EXPECT_EQ(code_of(R"({"type":"append","id":"a","messages":[{"role":"user","content":"x"}],"top_k":-9})"),
            "invalid_value");
  obey(R"({"type":"generate","id":"a","prompt":[1,2],"resumable":true})");
  host.answer("two");
  EXPECT_FALSE(all_frames().back().at("appendable").as_bool());
  EXPECT_EQ(code_of(more_a), "not_appendable");
  EXPECT_EQ(host.n_submitted, 2U);
}

TEST_F(one_session, whatIsNotToBeKeptIsGone) {
  obey(R"({"type":"generate","id":"a","prompt":"x","keep":false})");
  host.answer("y");
  EXPECT_FALSE(all_frames().back().at("appendable").as_bool());
  EXPECT_FALSE(session.has_streams());
}

TEST_F(one_session, conversationsAreKeptForATime) {
  obey(chat_a);
  host.answer("two");
  all_frames();
  EXPECT_EQ(session.due(), host.now + limits.keep);
  host.now += limits.keep;
  EXPECT_EQ(session.next(host.now), std::nullopt);
  EXPECT_FALSE(session.has_streams());
  EXPECT_EQ(code_of(more_a), "unknown_stream");
}

TEST_F(one_session, theOldestConversationGoesFirst) {
  for (int i = 0; i < limits.max_kept_streams + 1; ++i) {
    host.now += 1s;
    obey(R"({"type":"generate","prompt":"x","id":")" + std::to_string(i) + "\"}");
    host.answer("y");
    all_frames();
  }
  EXPECT_EQ(code_of(R"({"type":"append","id":"0","prompt":"x"})"), "unknown_stream");
  obey(R"({"type":"append","id":"1","prompt":"x"})");
  EXPECT_EQ(host.running.size(), 1U);
}

TEST_F(one_session, conversationsTogetherHaveAtMostSoManyBytes) {
  const std::string text(limits.max_kept_bytes * 2 / 5, 'x');
  for (const std::string name : {"a", "b", "c"}) {
    host.now += 1s;
    obey(R"({"type":"generate","id":")" + name + R"(","prompt":")" + text + "\"}");
    host.answer("y");
    EXPECT_TRUE(all_frames().back().at("appendable").as_bool());
  }
  EXPECT_EQ(code_of(R"({"type":"append","id":"a","prompt":"x"})"), "unknown_stream");
  obey(R"({"type":"generate","id":"d","prompt":")" + std::string(limits.max_kept_bytes, 'x') + "\"}");
  host.answer("y");
  EXPECT_FALSE(all_frames().back().at("appendable").as_bool()) << "one that is too large is not kept at all";
}

TEST_F(one_session, updateReachesTheGenerationThatRuns) {
  obey(chat_a);
  obey(R"({"type":"update","id":"a","max_tokens":5})");
  ASSERT_EQ(host.changes.size(), 1U);
  EXPECT_EQ(host.changes[0].first, 1U);
  EXPECT_EQ(host.changes[0].second.max_tokens, 5);
  host.answer("two");
  all_frames();
  EXPECT_EQ(code_of(R"({"type":"update","id":"a","max_tokens":5})"), "unknown_stream");
}

TEST_F(one_session, onlyAModelThatThinksCanBeToldToStop) {
  obey(chat_a);
  const std::string stop = R"({"type":"update","id":"a","stop_thinking":true,"max_tokens":5})";
  EXPECT_EQ(code_of(stop), "unsupported_value");
  EXPECT_TRUE(host.changes.empty()) << "what is refused changes nothing";
  host.is_thinker = true;
  obey(stop);
  ASSERT_EQ(host.changes.size(), 1U);
  EXPECT_TRUE(host.changes[0].second.stop_thinking);
  EXPECT_EQ(host.changes[0].second.max_tokens, 5);
}

TEST_F(one_session, aStreamThatIsBackDoesNotExpire) {
  obey(R"({"type":"generate","id":"a","prompt":"x","resumable":true})");
  host.tell(host.running[0], generation_accepted{1, 2});
  const std::string token{next().at("resume_token").as_string()};
  session.leave(true);
  EXPECT_EQ(host.all.n_parked(), 1U);
  stream_session other{host, limits, "served", "t", [] {}};
  other.obey(R"({"type":"resume","id":"a","after":0,"token":")" + token + "\"}", host.now);
  EXPECT_EQ(host.all.n_parked(), 0U);
  EXPECT_TRUE(host.all.expire(host.now + 1h).empty());
}

TEST(stream_session_limits, aTurnMoreIsAStreamMore) {
  fake_host host;
  stream_limits limits;
  limits.max_streams = 1;
  stream_session session{host, limits, "served", "t", [] {}};
  const auto code_of = [&](const std::string& frame) {
    session.obey(frame, host.now);
    const auto said = session.next(host.now);
    const auto read = said ? json::parse(*said).as_object() : json::object{};
    return read.contains("error") ? std::string{read.at("error").at("code").as_string()} : "";
  };
  session.obey(chat_a, host.now);
  host.answer("two");
  while (session.next(host.now))
    ;
  session.obey(R"({"type":"generate","id":"b","prompt":"x"})", host.now);
  EXPECT_EQ(code_of(more_a), "too_many_streams");
  EXPECT_EQ(host.n_submitted, 2U);
}

TEST_F(one_session, aStreamThatWasResumedElsewhereIsGone) {
  obey(R"({"type":"generate","id":"a","prompt":"x","resumable":true})");
  host.tell(host.running[0], generation_accepted{1, 2});
  const std::string token{next().at("resume_token").as_string()};
  stream_session other{host, limits, "served", "t", [] {}};
  other.obey(R"({"type":"resume","id":"a","after":0,"token":")" + token + "\"}", host.now);
  EXPECT_EQ(json::parse(*other.next(host.now)).at("type"), "resumed");
  EXPECT_EQ(next().at("error").at("code"), "resumed_elsewhere");
  host.say(host.running[0], "y");
  EXPECT_EQ(json::parse(*other.next(host.now)).at("text"), "y");
  EXPECT_EQ(session.next(host.now), std::nullopt);
  EXPECT_FALSE(host.cancelled.contains(1));
}

TEST_F(one_session, noStreamIsResumedBehindItsEndOrBeforeWhatIsKept) {
  limits.max_replay_bytes = 300;
  stream_session small{host, limits, "served", "t", [] {}};
  small.obey(R"({"type":"generate","id":"a","prompt":"x","resumable":true})", host.now);
  host.tell(host.running[0], generation_accepted{1, 2});
  const std::string token{json::parse(*small.next(host.now)).at("resume_token").as_string()};
  for (int i = 0; i < 5; ++i) {
    host.say(host.running[0], "word");
    small.next(host.now);
  }
  small.leave(true);
  const auto resume = [&](int after) {
    return code_of(R"({"type":"resume","id":"a","token":")" + token + R"(","after":)" +
                   std::to_string(after) + "}");
  };
  EXPECT_EQ(resume(6), "invalid_value");
  EXPECT_EQ(resume(-1), "frames_gone");
  EXPECT_EQ(resume(4), "");
  EXPECT_EQ(next().at("seq"), 5);
}

TEST_F(one_session, withoutTimeToResumeNothingIsResumable) {
  limits.resume = 0s;
  stream_session hasty{host, limits, "served", "t", [] {}};
  hasty.obey(R"({"type":"generate","id":"a","prompt":"x","resumable":true})", host.now);
  host.tell(host.running[0], generation_accepted{1, 2});
  EXPECT_FALSE(json::parse(*hasty.next(host.now)).as_object().contains("resume_token"));
  hasty.leave(true);
  EXPECT_TRUE(host.cancelled.contains(1));
}

TEST_F(one_session, aClientThatOnlyAsksIsTooMuch) {
  for (int i = 0; i < 256; ++i)
    obey(R"({"type":"ping"})");
  EXPECT_FALSE(session.is_flooded());
  obey(R"({"type":"ping"})");
  EXPECT_TRUE(session.is_flooded());
}

// -- any frames in any order
// ---------------------------------------------------------------------------------

/// A stream as its clients have seen it.
struct known_stream {
  std::string id;
  std::string tenant;
  std::string token;
  std::vector<std::string> frames; ///< by seq
  bool resumable = false;
  bool runs = true;
  bool appendable = false;
  bool appendable_before = false; ///< when the turn began
};
using known_ptr = std::shared_ptr<known_stream>;

/// One client and its connection at a time.
struct known_client {
  std::string tenant;
  std::unique_ptr<stream_session> session;
  std::map<std::string, known_ptr> streams;
  std::map<std::string, std::size_t> expected; ///< seq
};

class world {
public:
  world() {
    limits_.max_streams = 3;
    for (const std::string tenant : {"t", "t", "u"}) {
      clients_.push_back({tenant, nullptr, {}, {}});
      connect(clients_.back());
    }
  }

  void anything() {
    auto& client = clients_[static_cast<std::size_t>(*rc::gen::inRange(0, 3))];
    const auto id = *rc::gen::element<std::string>("a", "b", "c", "d");
    switch (*rc::gen::inRange(0, 12)) {
    case 0:
    case 1:
      generate(client, id);
      break;
    case 2:
    case 3:
      append(client, id);
      break;
    case 4:
      credit_cancel_or_update(client, id);
      break;
    case 5:
      resume(client);
      break;
    case 6:
      drop(client);
      break;
    case 7:
      garbage(client);
      break;
    default:
      step();
    }
    for (auto& one : clients_)
      take_frames(one);
    RC_ASSERT(n_refusals_due_ == 0);
    check_generations();
  }

private:
  void connect(known_client& client) {
    client.session = std::make_unique<stream_session>(host_, limits_, "served", client.tenant, [] {});
    client.streams.clear();
    client.expected.clear();
  }

  static bool runs(const known_client& client, const std::string& id) {
    const auto found = client.streams.find(id);
    return found != client.streams.end() && found->second->runs;
  }
  bool is_full(const known_client& client) const {
    return std::ranges::count_if(client.streams, [](const auto& one) { return one.second->runs; }) >=
           limits_.max_streams;
  }

  /// Sends a frame; it has to be refused with `code`, or, if that is empty, has to be obeyed without a word.
  void send(known_client& client, const json::object& frame, const std::string& code) {
    client.session->obey(json::serialize(frame), host_.now);
    if (code.empty())
      return;
    const auto said = client.session->next(host_.now);
    RC_ASSERT(said);
    const auto refusal = json::parse(*said).as_object();
    RC_ASSERT(server_.allows(refusal));
    RC_ASSERT(refusal.at("type") == "error");
    RC_ASSERT(!refusal.contains("seq"));
    RC_ASSERT(refusal.at("error").at("code") == json::string{code});
  }

  void generate(known_client& client, const std::string& id) {
    auto made = std::make_shared<known_stream>();
    made->id = id;
    made->tenant = client.tenant;
    made->resumable = *rc::gen::arbitrary<bool>();
    json::object frame{{"type", "generate"}, {"id", id}, {"resumable", made->resumable}};
    frame["prompt"] = *rc::gen::element<json::value>("text", json::array{1, 2});
    frame["keep"] = *rc::gen::arbitrary<bool>();
    if (*rc::gen::inRange(0, 3) == 0)
      frame["credit"] = *rc::gen::inRange(0, 3);
    const auto code = runs(client, id) ? "duplicate_stream" : is_full(client) ? "too_many_streams" : "";
    const auto n = host_.n_submitted;
    send(client, frame, code);
    RC_ASSERT(host_.n_submitted == n + (*code == 0 ? 1 : 0));
    if (*code == 0) {
      client.streams[id] = made;
      client.expected[id] = 0;
    }
  }

  void append(known_client& client, const std::string& id) {
    const auto found = client.streams.find(id);
    std::string code;
    if (found == client.streams.end())
      code = "unknown_stream";
    else if (found->second->runs)
      code = "stream_running";
    else if (!found->second->appendable)
      code = "not_appendable";
    else if (is_full(client))
      code = "too_many_streams";
    const auto n = host_.n_submitted;
    send(client, {{"type", "append"}, {"id", id}, {"prompt", "more"}, {"credit", 2}}, code);
    RC_ASSERT(host_.n_submitted == n + (code.empty() ? 1 : 0));
    if (code.empty()) {
      found->second->runs = true;
      found->second->appendable_before = found->second->appendable;
    }
  }

  void credit_cancel_or_update(known_client& client, const std::string& id) {
    const auto type = *rc::gen::element<std::string>("credit", "cancel", "update");
    const json::object frame{{"type", type}, {"id", id}, {"tokens", 2}, {"max_tokens", 2}};
    send(client, frame, runs(client, id) ? "" : "unknown_stream");
  }

  void resume(known_client& client) {
    const auto known = all_resumable();
    if (known.empty())
      return send(client, {{"type", "resume"}, {"id", "a"}, {"token", "x"}, {"after", 0}},
                  "unknown_resume_token");
    const auto& wanted = *rc::gen::elementOf(known);
    const auto n_sent = static_cast<int>(wanted->frames.size());
    const auto after = *rc::gen::inRange(-1, n_sent + 1);
    auto* holder = holder_of(*wanted);
    const bool is_parked = holder == nullptr;
    std::string code;
    if (wanted->tenant != client.tenant)
      code = "unknown_resume_token";
    else if (runs(client, wanted->id) && client.streams[wanted->id] != wanted)
      code = "duplicate_stream";
    else if (wanted->runs && holder != &client && is_full(client))
      code = "too_many_streams";
    else if (after >= n_sent)
      code = "invalid_value";
    send(client, {{"type", "resume"}, {"id", wanted->id}, {"token", wanted->token}, {"after", after}}, code);
    if (!code.empty())
      return;
    const auto said = json::parse(*client.session->next(host_.now)).as_object();
    RC_ASSERT(server_.allows(said));
    RC_ASSERT(said.at("type") == "resumed");
    RC_ASSERT(said.at("running") == wanted->runs);
    if (!is_parked && holder != &client) {
      const auto told = json::parse(*holder->session->next(host_.now)).as_object();
      RC_ASSERT(told.at("error").at("code") == "resumed_elsewhere");
      holder->streams.erase(wanted->id);
    }
    std::erase(parked_, wanted);
    client.streams[wanted->id] = wanted;
    client.expected[wanted->id] = static_cast<std::size_t>(after + 1);
  }

  void drop(known_client& client) {
    const bool may_come_back = *rc::gen::arbitrary<bool>();
    client.session->leave(may_come_back);
    for (const auto& [id, one] : client.streams)
      if (may_come_back && one->resumable)
        parked_.push_back(one);
    connect(client);
  }

  void garbage(known_client& client) {
    json::object frame{
        {"type", *rc::gen::element<std::string>("generate", "append", "resume", "dance", "done")}};
    if (*rc::gen::arbitrary<bool>())
      frame["id"] = *json_value(1);
    const auto n = host_.n_submitted;
    n_refusals_due_ = 1;
    client.session->obey(*rc::gen::oneOf(rc::gen::just(json::serialize(frame)), broken_text()), host_.now);
    RC_ASSERT(host_.n_submitted == n);
  }

  /// One event of one generation.
  void step() {
    if (host_.running.empty())
      return;
    auto& one =
        host_.running[static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(host_.running.size())))];
    if (one.cancelled)
      host_.tell(one, generation_finished{finish_reason::cancelled, "", {}});
    else if (*rc::gen::inRange(0, 12) == 0)
      host_.tell(one, generation_failed{503, "lost", "Lost.", "", 1});
    else if (!std::exchange(one.accepted, true))
      host_.tell(one, generation_accepted{1, 2});
    else if (*rc::gen::inRange(0, 4) == 0)
      host_.tell(one, generation_finished{});
    else
      host_.say(one, "w");
  }

  void take_frames(known_client& client) {
    while (const auto text = client.session->next(host_.now)) {
      const auto frame = json::parse(*text).as_object();
      RC_ASSERT(server_.allows(frame));
      if (!frame.contains("seq")) {
        RC_ASSERT(n_refusals_due_-- > 0);
        continue;
      }
      const std::string id{frame.at("id").as_string()};
      const auto found = client.streams.find(id);
      RC_ASSERT(found != client.streams.end());
      auto& known = *found->second;
      const auto seq = frame.at("seq").to_number<std::size_t>();
      RC_ASSERT(seq == client.expected[id]++);
      if (seq < known.frames.size()) {
        RC_ASSERT(*text == known.frames[seq]);
        continue;
      }
      RC_ASSERT(known.runs);
      known.frames.push_back(*text);
      note(client, known, frame);
    }
  }

  void note(known_client& client, known_stream& known, const json::object& frame) {
    const auto& type = frame.at("type").as_string();
    if (const auto* token = frame.if_contains("resume_token"))
      known.token = token->as_string();
    if (type != "done" && type != "error")
      return;
    known.runs = false;
    known.appendable = type == "done" ? frame.at("appendable").as_bool() : known.appendable_before;
    if (!known.appendable && !known.resumable)
      client.streams.erase(std::string{known.id});
  }

  std::vector<known_ptr> all_resumable() const {
    auto all = parked_;
    for (const auto& client : clients_)
      for (const auto& [id, one] : client.streams)
        all.push_back(one);
    std::erase_if(all, [](const known_ptr& one) { return one->token.empty(); });
    return all;
  }

  known_client* holder_of(const known_stream& wanted) {
    for (auto& client : clients_)
      for (const auto& [id, one] : client.streams)
        if (one.get() == &wanted)
          return &client;
    return nullptr;
  }

  /// Whatever nobody waits for is cancelled.
  void check_generations() {
    for (const auto& one : host_.running) {
      const auto to = one.to.lock();
      RC_ASSERT((to != nullptr || one.cancelled));
    }
  }

  fake_host host_;
  stream_limits limits_;
  std::vector<known_client> clients_;
  std::vector<known_ptr> parked_;
  frame_schema server_ = frame_schema::of_server();
  int n_refusals_due_ = 0;
};

RC_GTEST_PROP(stream_session_law, anyFramesInAnyOrderAreObeyedOrRefusedAsDocumented, ()) {
  world all;
  const int n = *rc::gen::inRange(0, 120);
  for (int i = 0; i < n; ++i)
    all.anything();
}

} // namespace
} // namespace souffleur
