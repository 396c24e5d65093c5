// The server over real sockets, in front of a service that the test plays by hand.
#include "net/server.hpp"

#include "tests/net/fake_embeddings.hpp"
#include "tests/net/fake_service.hpp"
#include "tests/net/test_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <unistd.h>

namespace souffleur {
namespace {

using namespace testing;
using namespace std::chrono_literals;

const std::string chat = R"({"messages":[{"role":"user","content":"hi"}]})";
const std::string streamed_chat = R"({"stream":true,"messages":[{"role":"user","content":"hi"}]})";

kv_summary summary_of(int n_sequences) {
  kv_summary summary;
  summary.n_sequences = n_sequences;
  return summary;
}

class served : public ::testing::Test {
protected:
  /// A test that waits for ever ends its program.
  void SetUp() override { alarm(60); }
  void TearDown() override { alarm(0); }

  void start(server_options options = {}) {
    options.port = 0;
    auto started = server::start(options, service_, &embeddings_);
    ASSERT_TRUE(started) << started.error();
    server_ = std::move(*started);
  }
  std::uint16_t port() const { return server_->port(); }

  /// Closes every connection; says how long that took.
  std::chrono::milliseconds timed_stop() {
    const auto began = std::chrono::steady_clock::now();
    server_->stop();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  }

  fake_service service_;
  fake_embeddings embeddings_;
  std::unique_ptr<server> server_;
};

TEST_F(served, aConnectionIsKeptAlive) {
  start();
  http_client client{port()};
  for (std::size_t i = 0; i < 3; ++i) {
    client.send(post("/v1/chat/completions", chat));
    const auto id = service_.wait_for_request(i);
    ASSERT_NE(id, 0U);
    service_.answer(id, {"hel", "lo"});
    const auto answer = client.read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.json().at("choices").at(0).at("message").at("content"), "hello");
    EXPECT_TRUE(answer.keep_alive);
  }
}

TEST_F(served, pipelinedRequestsAreAnsweredInTheirOrder) {
  start();
  http_client client{port()};
  client.send(post("/tokenize", R"({"content":"ab"})") + post("/v1/chat/completions", chat) + get("/health") +
              get("/nowhere"));
  EXPECT_EQ(client.read().json().at("count"), 2);
  const auto id = service_.wait_for_request(0);
  service_.answer(id, {"x"});
  EXPECT_EQ(client.read().json().at("choices").at(0).at("message").at("content"), "x");
  EXPECT_EQ(client.read().json().at("status"), "ok");
  EXPECT_EQ(client.read().status, 404);
}

TEST_F(served, aRequestMayComeByteByByte) {
  start();
  http_client client{port()};
  for (const char byte : post("/tokenize", R"({"content":"ab"})"))
    client.send(std::string(1, byte));
  EXPECT_EQ(client.read().json().at("count"), 2);
}

TEST_F(served, aChunkedBodyIsReadWhole) {
  start();
  http_client client{port()};
  client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
              "4\r\n{\"co\r\n8;ext=1\r\nntent\":\"\r\n4\r\nab\"}\r\n0\r\n\r\n");
  EXPECT_EQ(client.read().json().at("count"), 2);
  client.send(get("/health"));
  EXPECT_EQ(client.read().status, 200);
}

TEST_F(served, aClientThatExpectsContinueGetsItBeforeItSends) {
  start();
  http_client client{port()};
  const std::string body = R"({"content":"abc"})";
  client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(client.read_line(), "HTTP/1.1 100 Continue");
  while (!client.read_line().empty()) {
  }
  client.send(body);
  EXPECT_EQ(client.read().json().at("count"), 3);
}

TEST_F(served, anOldClientGetsAStreamThatEndsWithTheConnection) {
  start();
  http_client client{port()};
  client.send(post("/v1/chat/completions", streamed_chat, "HTTP/1.0"));
  service_.answer(service_.wait_for_request(0), {"one ", "two"});
  const auto all = client.read_to_end();
  EXPECT_EQ(all.find("Transfer-Encoding"), std::string::npos);
  EXPECT_NE(all.find("text/event-stream"), std::string::npos);
  EXPECT_TRUE(all.ends_with("data: [DONE]\n\n")) << all;
}

TEST_F(served, aStreamComesInChunksAndTheConnectionStays) {
  start();
  http_client client{port()};
  client.send(post("/v1/chat/completions", streamed_chat));
  const auto id = service_.wait_for_request(0);
  service_.accept(id);
  client.read_until("assistant");
  service_.say(id, {"early"});
  client.read_until("early"); // before the end is known
  service_.finish(id);
  client.read_until("data: [DONE]\n\n\r\n0\r\n\r\n");
  client.send(get("/health"));
  EXPECT_EQ(client.read().status, 200);
}

TEST_F(served, optionsAndHeadHaveNoBody) {
  start();
  http_client client{port()};
  client.send("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = client.read_head();
  EXPECT_NE(head.find("204"), std::string::npos);
  EXPECT_NE(head.find("Access-Control-Allow-Methods: POST"), std::string::npos);
  EXPECT_EQ(head.find("Content-Length"), std::string::npos); // RFC 9110, section 8.6
  client.send("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.read_head().find("200 OK"), std::string::npos);
  client.send(get("/metrics"));
  EXPECT_EQ(client.read().body, "souffleur_up 1\n");
}

TEST_F(served, aFailureBeforeTheFirstTokenHasItsStatus) {
  start();
  for (const auto& body : {chat, streamed_chat}) {
    const auto before = service_.n_requests();
    http_client client{port()};
    client.send(post("/v1/chat/completions", body));
    const auto id = service_.wait_for_request(before);
    service_.tell(id, generation_failed{429, "queue_full", "Later.", "", 7});
    const auto answer = client.read();
    EXPECT_EQ(answer.status, 429);
    EXPECT_EQ(answer.retry_after, "7");
    EXPECT_EQ(answer.json().at("error").at("code"), "queue_full");
  }
}

TEST_F(served, aChoiceThatFailsEndsTheOthers) {
  start();
  for (const bool stream : {false, true}) {
    http_client client{port()};
    const auto before = service_.n_requests();
    client.send(post("/v1/completions",
                     std::string{R"({"prompt":"x","n":2,"stream":)"} + (stream ? "true}" : "false}")));
    const auto first = service_.wait_for_request(before);
    const auto second = service_.wait_for_request(before + 1);
    service_.tell(first, generation_failed{429, "queue_full", "Later.", "", 7});
    EXPECT_EQ(client.read().status, 429);
    EXPECT_TRUE(service_.wait_for_cancel(second));
  }
}

TEST_F(served, aFailureMidStreamIsAnEvent) {
  start();
  http_client client{port()};
  client.send(post("/v1/chat/completions", streamed_chat));
  const auto id = service_.wait_for_request(0);
  service_.accept(id);
  service_.say(id, {"begun"});
  client.read_until("begun");
  service_.tell(id, generation_failed{500, "lost", "The model is gone.", "", 0});
  const auto rest = client.read_until("[DONE]");
  EXPECT_NE(rest.find("\"code\":\"lost\""), std::string::npos);
}

TEST_F(served, theAuthorizationIsTheTenant) {
  start();
  http_client client{port()};
  client.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer me\r\nContent-Length: "
              "14\r\n\r\n{\"prompt\":\"x\"}");
  const auto id = service_.wait_for_request(0);
  ASSERT_NE(id, 0U);
  EXPECT_EQ(service_.request(id).tenant, "Bearer me");
}

TEST_F(served, aClientThatLeavesCancelsItsGenerations) {
  start();
  for (const auto& body : {chat, streamed_chat}) {
    const auto before = service_.n_requests();
    auto client = std::make_unique<http_client>(port());
    client->send(post("/v1/chat/completions", body));
    const auto id = service_.wait_for_request(before);
    service_.accept(id);
    service_.say(id, {"word"});
    client.reset();
    EXPECT_TRUE(service_.wait_for_cancel(id)) << body;
  }
}

TEST_F(served, aGenerationThatEndedIsNotCancelled) {
  start();
  {
    http_client client{port()};
    client.send(post("/v1/chat/completions", chat));
    service_.answer(service_.wait_for_request(0), {"x"});
    client.read();
  }
  timed_stop();
  EXPECT_FALSE(service_.is_cancelled(service_.wait_for_request(0)));
}

TEST_F(served, aBodyTooLargeIsRefusedSoThatTheClientCanRead) {
  server_options options;
  options.max_body_bytes = 1000;
  start(options);
  http_client client{port()};
  // More than the sockets hold, so that the client is still sending when it is refused.
  const std::string body(4 << 20, 'x');
  client.send(post("/tokenize", body));
  const auto answer = client.read();
  EXPECT_EQ(answer.status, 413);
  EXPECT_FALSE(answer.keep_alive);
  EXPECT_EQ(answer.json().at("error").at("code"), "body_too_large");
}

TEST_F(served, aChunkedBodyTooLargeIsRefused) {
  server_options options;
  options.max_body_bytes = 1000;
  start(options);
  http_client client{port()};
  client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
              std::string(2000, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(client.read().status, 413);
}

TEST_F(served, aHeaderTooLargeIsRefused) {
  start();
  http_client client{port()};
  client.send("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(20000, 'x') + "\r\n\r\n");
  EXPECT_EQ(client.read().status, 431);
}

TEST_F(served, whatIsNotHttpIsRefused) {
  start();
  for (const std::string text :
       {"nonsense\r\n\r\n", "GET / HTTP/9\r\n\r\n", "GET / HTTP/1.1\r\nA b c\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    http_client client{port()};
    client.send(text);
    EXPECT_EQ(client.read().status, 400) << text;
  }
}

TEST_F(served, aSilentConnectionIsClosed) {
  server_options options;
  options.idle_timeout = 1s;
  start(options);
  http_client client{port()};
  client.send("POST /tokenize HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  client.read_to_end(); // returns
}

TEST_F(served, aHeaderThatComesDropByDropIsCutOff) {
  server_options options;
  options.header_timeout = 1s;
  start(options);
  http_client client{port()};
  client.send("GET /health HTTP/1.1\r\n");
  const auto drop = [&] {
    try {
      client.send("X: y\r\n");
      return true;
    } catch (const boost::system::system_error&) {
      return false;
    }
  };
  while (drop()) // every drop comes long before the connection would count as silent
    std::this_thread::sleep_for(100ms);
}

TEST_F(served, theTimeOfAHeaderBeginsWithItsFirstByte) {
  server_options options;
  options.header_timeout = 1s;
  start(options);
  http_client client{port()};
  client.send(get("/health"));
  client.read();
  std::this_thread::sleep_for(1500ms);
  client.send(get("/health"));
  EXPECT_EQ(client.read().status, 200);
}

TEST_F(served, anAddressHasAsManyConnectionsAsItMay) {
  server_options options;
  options.max_connections_per_address = 1;
  start(options);
  auto first = std::make_unique<http_client>(port());
  first->send(get("/health"));
  first->read();
  http_client second{port()};
  const auto refused = second.read();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.json().at("error").at("message"), "Your address has too many connections.");
  first.reset();
  for (int tries = 0; tries < 1000; ++tries) {
    http_client third{port()};
    third.send(get("/health"));
    if (third.read().status == 200)
      return;
    std::this_thread::sleep_for(10ms);
  }
  FAIL() << "the place of a connection that left was not given to another";
}

TEST_F(served, connectionsBeyondTheLimitGet503) {
  server_options options;
  options.max_connections = 2;
  start(options);
  http_client first{port()};
  first.send(get("/health"));
  first.read();
  auto second = std::make_unique<http_client>(port());
  second->send(get("/health"));
  second->read();
  http_client third{port()};
  EXPECT_EQ(third.read().status, 503);
  second.reset();
  for (int tries = 0; tries < 100; ++tries) {
    http_client fourth{port()};
    fourth.send(get("/health"));
    if (fourth.read().status == 200)
      return;
    std::this_thread::sleep_for(10ms);
  }
  FAIL() << "the place of a connection that left was not given to another";
}

/// A client that reads nothing while its generation goes on.
TEST_F(served, aReaderThatFallsBehindIsCutOff) {
  server_options options;
  options.max_held_tokens = 100;
  start(options);
  http_client client{port()};
  client.send(post("/v1/chat/completions", streamed_chat));
  const auto id = service_.wait_for_request(0);
  service_.accept(id);
  const std::vector<std::string> words(50, std::string(20000, 'w'));
  for (int i = 0; i < 40 && !service_.is_cancelled(id); ++i) {
    service_.say(id, words);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(service_.wait_for_cancel(id));
}

TEST_F(served, stopAnswersWhoWaitsAndCancelsWhatRuns) {
  start();
  http_client waits{port()};
  waits.send(post("/v1/chat/completions", chat));
  http_client streams{port()};
  service_.wait_for_request(0);
  streams.send(post("/v1/chat/completions", streamed_chat));
  const auto running = service_.wait_for_request(1);
  service_.accept(running);
  streams.read_until("assistant");
  http_client idle{port()};
  idle.send(get("/health"));
  idle.read();
  ws_client socket{port()};
  socket.send(R"({"type":"generate","id":"a","prompt":"x"})");
  const auto third = service_.wait_for_request(2);

  // A close is orderly once the client has answered it.
  auto code = std::async(std::launch::async, [&] { return socket.close_code(); });
  EXPECT_LT(timed_stop(), 2000ms);
  EXPECT_EQ(waits.read().status, 503);
  streams.read_to_end();
  idle.read_to_end();
  EXPECT_EQ(code.get(), 1001);
  for (const auto id : {service_.wait_for_request(0), running, third})
    EXPECT_TRUE(service_.is_cancelled(id));
}

/// Neither of them takes what it is sent nor answers a close; yet nothing is left of them after stop().
TEST_F(served, stopLeavesNothingOfClientsThatDoNotRead) {
  start();
  http_client streams{port()};
  streams.send(post("/v1/chat/completions", streamed_chat));
  const auto first = service_.wait_for_request(0);
  ws_client socket{port()};
  socket.send(R"({"type":"generate","id":"a","prompt":"x"})");
  const auto second = service_.wait_for_request(1);
  for (const auto id : {first, second}) {
    service_.accept(id);
    for (int i = 0; i < 20; ++i)
      service_.say(id, {std::string(1 << 20, 'w')});
  }
  EXPECT_LT(timed_stop(), 5000ms);
  EXPECT_TRUE(service_.is_cancelled(first));
  EXPECT_TRUE(service_.is_cancelled(second));
}

/// Planted bugs that it caught: the I/O thread waits for the answer, for ever or for a second; one question
/// at a time is let through; an answer goes to all that have asked; nothing is an answer; a connection that
/// waits is forgotten when the server stops, or is not woken.
TEST_F(served, aSilentKvManagerHoldsUpNobodyElse) {
  start();
  http_client asks{port()}, other{port()};
  asks.send(get("/souffleur/kv"));
  const auto tell = service_.wait_for_kv_question();
  ASSERT_TRUE(tell);
  other.send(get("/health"));
  EXPECT_EQ(other.read().status, 200);
  other.send(post("/v1/chat/completions", chat));
  service_.answer(service_.wait_for_request(0), {"x"});
  EXPECT_EQ(other.read().status, 200);
  other.send(get("/souffleur/kv"));
  const auto tell_other = service_.wait_for_kv_question();
  ASSERT_TRUE(tell_other);
  tell_other(summary_of(7));
  EXPECT_EQ(other.read().json().at("sequences"), 7);
  tell(summary_of(3));
  EXPECT_EQ(asks.read().json().at("sequences"), 3);
  asks.send(get("/souffleur/kv"));
  service_.wait_for_kv_question()(std::nullopt);
  EXPECT_EQ(asks.read().status, 503);
  asks.send(get("/souffleur/kv"));
  const auto too_late = service_.wait_for_kv_question();
  EXPECT_LT(timed_stop(), 2000ms);
  EXPECT_EQ(asks.read().status, 503);
  too_late(kv_summary{});
}

const std::string two_texts = R"({"input":["a","b"]})";

TEST_F(served, embeddingsAreAnsweredInTheOrderOfTheTexts) {
  start();
  http_client client{port()};
  client.send(post("/v1/embeddings", two_texts) + get("/health"));
  const auto asked = embeddings_.wait_for_request();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->first.texts, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(asked->first.client.expired());
  asked->second(embeddings{{{0.25F, 0.5F}, 3, false}, {{1, 0}, 4, true}});
  const auto answer = client.read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json().at("data").at(1).at("embedding").at(0).to_number<double>(), 1);
  EXPECT_EQ(answer.json().at("usage").at("total_tokens"), 7);
  EXPECT_EQ(client.read().json().at("status"), "ok");
  EXPECT_TRUE(asked->first.client.expired());
}

TEST_F(served, embeddingsThatFailHaveAStatus) {
  start();
  http_client client{port()};
  client.send(post("/v1/embeddings", two_texts));
  embeddings_.wait_for_request()->second(generation_failed{429, "overloaded", "Later.", "", 1});
  const auto answer = client.read();
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.retry_after, "1");
}

TEST_F(served, whoLeavesWaitsForNoEmbeddings) {
  start();
  std::optional<http_client> client{port()};
  client->send(post("/v1/embeddings", two_texts));
  const auto asked = embeddings_.wait_for_request();
  client.reset();
  for (int i = 0; i < 500 && !asked->first.client.expired(); ++i)
    std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(asked->first.client.expired());
  asked->second(embeddings{});
}

TEST_F(served, aServerThatStopsWaitsForNoEmbeddings) {
  start();
  http_client client{port()};
  client.send(post("/v1/embeddings", two_texts));
  const auto too_late = embeddings_.wait_for_request();
  EXPECT_LT(timed_stop(), 2000ms);
  EXPECT_EQ(client.read().status, 503);
  too_late->second(embeddings{});
}

TEST_F(served, aStoppedServerTakesNobodyAndCanBeStoppedAgain) {
  start();
  const auto at = port();
  timed_stop();
  timed_stop();
  EXPECT_THROW(http_client{at}, boost::system::system_error);
}

TEST_F(served, eventsAfterTheServersEndAreIgnored) {
  start();
  http_client client{port()};
  client.send(post("/v1/chat/completions", streamed_chat));
  const auto first = service_.wait_for_request(0);
  ws_client socket{port()};
  socket.send(R"({"type":"generate","id":"a","prompt":"x"})");
  const auto second = service_.wait_for_request(1);
  std::atomic<bool> over{false};
  std::thread speaker([&] {
    service_.accept(first);
    service_.accept(second);
    while (!over) {
      service_.say(first, {"word"});
      service_.say(second, {"word"});
      std::this_thread::sleep_for(1ms);
    }
  });
  client.read_until("word");
  server_.reset();
  std::this_thread::sleep_for(20ms);
  over = true;
  speaker.join();
  service_.finish(first, finish_reason::cancelled);
  service_.finish(second, finish_reason::cancelled);
}

TEST_F(served, anAddressThatIsTakenIsAFailure) {
  start();
  server_options options;
  options.port = port();
  const auto again = server::start(options, service_);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().find(std::to_string(port())), std::string::npos);
  options.address = "not-an-address";
  EXPECT_NE(server::start(options, service_).error().find("not-an-address"), std::string::npos);
}

/// Clients of every kind come, act and leave at random moments, also while the server stops.
TEST_F(served, surviveClientsThatComeAndGo) {
  server_options options;
  options.max_held_tokens = 50;
  for (int round = 0; round < 8; ++round) {
    start(options);
    const bool stops_last = round % 2 == 0;
    const auto before = service_.n_requests();
    std::atomic<bool> over{false};
    std::thread speaker([&] {
      for (std::size_t i = before; !over;) {
        if (service_.n_requests() <= i) {
          std::this_thread::sleep_for(1ms);
          continue;
        }
        const auto id = service_.wait_for_request(i++);
        service_.accept(id);
        for (int n = 0; n < 5; ++n)
          service_.say(id, {"some ", "words"});
        if (stops_last || i % 3 != 0) // else only the stop ends it
          service_.finish(id);
      }
    });
    std::vector<std::thread> clients;
    for (int c = 0; c < 4; ++c)
      clients.emplace_back([&, c] {
        for (int i = 0; i < 10; ++i)
          try {
            if (c == 3) {
              ws_client client{port()};
              client.send(R"({"type":"generate","id":"a","prompt":"x"})");
              client.send(R"({"type":"generate","id":"b","prompt":"x","credit":1})");
              if (i % 2 == 0)
                client.read();
            } else {
              http_client client{port()};
              client.send(
                  post("/v1/completions", c == 1 ? R"({"prompt":"x"})" : R"({"prompt":"x","stream":true})"));
              if (i % 3 == 0)
                client.send(get("/health"));
              if (i % 2 == 0)
                client.read_line();
            }
          } catch (const boost::system::system_error&) {
          }
      });
    if (stops_last)
      for (auto& client : clients)
        client.join();
    std::this_thread::sleep_for(std::chrono::milliseconds{round});
    EXPECT_LT(timed_stop(), 5000ms);
    if (!stops_last)
      for (auto& client : clients)
        client.join();
    over = true;
    speaker.join();
  }
}

TEST_F(served, aSocketCarriesSeveralStreams) {
  start();
  ws_client socket{port()};
  EXPECT_EQ(socket.subprotocol(), "souffleur.v1");
  for (const std::string name : {"a", "b", "c"})
    socket.send(R"({"type":"generate","prompt":"x","id":")" + name + "\"}");
  std::vector<request_id> ids;
  for (std::size_t i = 0; i < 3; ++i)
    ids.push_back(service_.wait_for_request(i));
  for (const auto id : ids)
    service_.accept(id);
  for (const std::string word : {"one ", "two "})
    for (std::size_t i = 0; i < 3; ++i)
      service_.say(ids[i], {word + std::to_string(i)});
  for (const auto id : ids)
    service_.finish(id);
  std::map<std::string, std::string> texts;
  std::map<std::string, int> seqs;
  for (int ended = 0; ended < 3;) {
    const auto frame = socket.read();
    const std::string name{frame.at("id").as_string()};
    EXPECT_EQ(frame.at("seq"), seqs[name]++);
    if (frame.at("type") == "delta")
      texts[name] += frame.at("text").as_string();
    ended += frame.at("type") == "done" ? 1 : 0;
  }
  EXPECT_EQ(texts["a"], "one 0two 0");
  EXPECT_EQ(texts["c"], "one 2two 2");
}

TEST_F(served, aSocketHoldsBackWhatWasNotGranted) {
  start();
  ws_client socket{port()};
  socket.send(R"({"type":"generate","prompt":"x","id":"a","credit":2})");
  const auto id = service_.wait_for_request(0);
  service_.answer(id, {"1", "2", "3", "4"});
  EXPECT_EQ(socket.read().at("type"), "accepted");
  EXPECT_EQ(socket.read().at("text"), "12");
  socket.send(R"({"type":"credit","id":"a","tokens":1})");
  EXPECT_EQ(socket.read().at("text"), "3");
  socket.send(R"({"type":"credit","id":"a","tokens":9})");
  EXPECT_EQ(socket.read().at("text"), "4");
  EXPECT_EQ(socket.read().at("type"), "done");
  socket.send(R"({"type":"credit","id":"a","tokens":9})");
  EXPECT_EQ(socket.read().at("error").at("code"), "unknown_stream");
}

TEST_F(served, aCancelledStreamWithoutCreditEnds) {
  start();
  ws_client socket{port()};
  socket.send(R"({"type":"generate","prompt":"x","id":"a","credit":0})");
  const auto id = service_.wait_for_request(0);
  service_.accept(id);
  service_.say(id, {"held"});
  EXPECT_EQ(socket.read().at("type"), "accepted");
  socket.send(R"({"type":"cancel","id":"a"})");
  ASSERT_TRUE(service_.wait_for_cancel(id));
  service_.say(id, {"made before the cancel arrived"});
  service_.finish(id, finish_reason::cancelled);
  EXPECT_EQ(socket.read().at("finish_reason"), "cancelled");
}

TEST_F(served, aSocketThatLeavesCancelsItsStreams) {
  start();
  for (const bool politely : {false, true}) {
    auto socket = std::make_unique<ws_client>(port());
    const auto before = service_.n_requests();
    socket->send(R"({"type":"generate","prompt":"x","id":"a"})");
    socket->send(R"({"type":"generate","prompt":"x","id":"b"})");
    const auto first = service_.wait_for_request(before);
    const auto second = service_.wait_for_request(before + 1);
    service_.accept(first);
    if (politely)
      socket->close();
    socket.reset();
    EXPECT_TRUE(service_.wait_for_cancel(first));
    EXPECT_TRUE(service_.wait_for_cancel(second));
  }
}

TEST_F(served, aSocketThatGrantsNothingIsCutOff) {
  server_options options;
  options.max_held_tokens = 10;
  start(options);
  ws_client socket{port()};
  socket.send(R"({"type":"generate","prompt":"x","id":"a","credit":0})");
  const auto id = service_.wait_for_request(0);
  service_.accept(id);
  EXPECT_EQ(socket.read().at("type"), "accepted");
  for (int i = 0; i < 10; ++i) {
    service_.say(id, {"w"});
    socket.send("{}"); // its refusal shows that the token was taken in
    EXPECT_EQ(socket.read().at("type"), "error");
  }
  EXPECT_FALSE(service_.is_cancelled(id));
  service_.say(id, {"w"});
  EXPECT_EQ(socket.close_code(), 1008);
  EXPECT_TRUE(service_.wait_for_cancel(id));
}

TEST_F(served, aSocketHasAtMostSoManyStreams) {
  server_options options;
  options.streams.max_streams = 1;
  start(options);
  ws_client socket{port()};
  socket.send(R"({"type":"generate","prompt":"x","id":"a"})");
  service_.wait_for_request(0);
  socket.send(R"({"type":"generate","prompt":"x","id":"a"})");
  EXPECT_EQ(socket.read().at("error").at("code"), "duplicate_stream");
  socket.send(R"({"type":"generate","prompt":"x","id":"b"})");
  EXPECT_EQ(socket.read().at("error").at("code"), "too_many_streams");
  service_.finish(service_.wait_for_request(0));
  EXPECT_EQ(socket.read().at("type"), "done");
  socket.send(R"({"type":"generate","prompt":"x","id":"a"})");
  EXPECT_NE(service_.wait_for_request(1), 0U);
}

const std::string resumable = R"({"type":"generate","prompt":"x","id":"a","resumable":true})";

std::string resume_frame(const std::string& token, int after) {
  return R"({"type":"resume","id":"a","token":")" + token + R"(","after":)" + std::to_string(after) + "}";
}

/// What a client sends that breaks the protocol while the server closes for another reason.
/// `n_good`: frames before that are obeyed or refused.
std::string frames_of_a_vandal(int n_good) {
  const auto masked = [](char opcode, std::string_view text) {
    return std::string{opcode} + static_cast<char>(0x80 | text.size()) + std::string(4, '\0') +
           std::string{text};
  };
  std::string frames;
  for (int i = 0; i < n_good; ++i)
    frames += masked('\x81', "no JSON");
  frames += masked('\x82', "binary"); // the server closes: 1003
  frames += masked('\x02', "a part");
  return frames + masked('\x02', "no continuation"); // the reader fails: 1002
}

TEST_F(served, breachesOfTheProtocolWhileASocketIsClosedCostNoConnection) {
  server_options options;
  options.max_connections = 1;
  options.write_timeout = 1s;
  start(options);
  for (int i = 0; i < 6; ++i) {
    http_client client{port()};
    client.send("GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    if (client.read_head().find(" 503 ") != std::string::npos) {
      --i; // the one before is still there
      std::this_thread::sleep_for(10ms);
      continue;
    }
    client.send(frames_of_a_vandal(i % 3));
    client.read_to_end();
  }
}

TEST_F(served, aStreamOutlivesItsConnection) {
  start();
  auto socket = std::make_unique<ws_client>(port());
  socket->send(resumable);
  const auto id = service_.wait_for_request(0);
  service_.accept(id);
  const std::string token{socket->read().at("resume_token").as_string()};
  service_.say(id, {"one "});
  EXPECT_EQ(socket->read().at("text"), "one ");
  socket.reset();
  service_.say(id, {"two "});
  ws_client other{port()};
  other.send(resume_frame(token, 0));
  EXPECT_EQ(other.read().at("type"), "resumed");
  EXPECT_EQ(other.read().at("text"), "one ");
  std::string rest;
  while (rest != "two ")
    rest += other.read().at("text").as_string();
  service_.say(id, {"three"});
  EXPECT_EQ(other.read().at("text"), "three");
  service_.finish(id);
  EXPECT_EQ(other.read().at("type"), "done");
  EXPECT_FALSE(service_.is_cancelled(id));
}

TEST_F(served, aPoliteCloseEndsAlsoWhatIsResumable) {
  start();
  ws_client socket{port()};
  socket.send(resumable);
  const auto id = service_.wait_for_request(0);
  socket.close();
  EXPECT_TRUE(service_.wait_for_cancel(id));
}

TEST_F(served, whatNobodyComesBackForIsCancelled) {
  server_options options;
  options.streams.resume = 1s;
  start(options);
  auto socket = std::make_unique<ws_client>(port());
  socket->send(resumable);
  const auto id = service_.wait_for_request(0);
  socket.reset();
  EXPECT_TRUE(service_.wait_for_cancel(id));
}

TEST_F(served, aStreamThatWaitsHoldsSoManyTokensAtMost) {
  server_options options;
  options.max_held_tokens = 10;
  start(options);
  auto socket = std::make_unique<ws_client>(port());
  socket->send(resumable);
  const auto id = service_.wait_for_request(0);
  service_.accept(id);
  const std::string token{socket->read().at("resume_token").as_string()};
  socket.reset();
  for (int i = 0; i < 1000 && !service_.is_cancelled(id); ++i) {
    service_.say(id, {"w"});
    std::this_thread::sleep_for(1ms);
  }
  ASSERT_TRUE(service_.is_cancelled(id));
  service_.finish(id, finish_reason::cancelled);
  ws_client other{port()};
  other.send(resume_frame(token, 0));
  EXPECT_EQ(other.read().at("type"), "resumed");
  auto frame = other.read();
  while (frame.at("type") == "delta")
    frame = other.read();
  EXPECT_EQ(frame.at("finish_reason"), "cancelled");
}

TEST_F(served, stopCancelsWhatWaitsForAClient) {
  start();
  auto socket = std::make_unique<ws_client>(port());
  socket->send(resumable);
  const auto id = service_.wait_for_request(0);
  socket.reset();
  EXPECT_LT(timed_stop(), 2000ms);
  EXPECT_TRUE(service_.is_cancelled(id));
}

TEST_F(served, anUpdateReachesTheService) {
  start();
  ws_client socket{port()};
  socket.send(R"({"type":"generate","prompt":"x","id":"a"})");
  const auto id = service_.wait_for_request(0);
  socket.send(R"({"type":"update","id":"a","max_tokens":7,"priority":3})");
  const auto [of, change] = service_.wait_for_change(0);
  EXPECT_EQ(of, id);
  EXPECT_EQ(change.max_tokens, 7);
  EXPECT_EQ(change.priority, 3);
}

TEST_F(served, echoIsThereOnlyIfAsked) {
  for (const bool echo : {false, true}) {
    server_options options;
    options.echo = echo;
    start(options);
    http_client client{port()};
    client.send("GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_EQ(client.read_line(), echo ? "HTTP/1.1 101 Switching Protocols" : "HTTP/1.1 404 Not Found");
  }
}

} // namespace
} // namespace souffleur
