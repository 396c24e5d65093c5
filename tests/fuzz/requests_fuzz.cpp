// What clients send: bytes on a connection, bodies of requests, frames of the WebSocket conversation.
#include "engine/grammar/expression.hpp"
#include "net/http_routes.hpp"
#include "net/logging.hpp"
#include "net/server.hpp"
#include "net/stream/resumable_streams.hpp"
#include "net/stream/session.hpp"
#include "tests/engine/scratch_folder.hpp"
#include "tests/fuzz/answering_services.hpp"
#include "tests/fuzz/target.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace souffleur::fuzz {
namespace {

namespace json = boost::json;

const json::value& parsed(const json::value& value) { return value; }

constexpr std::array<std::string_view, 7> posts{
    "/v1/chat/completions", "/v1/completions",          "/v1/embeddings",      "/tokenize",
    "/detokenize",          "/souffleur/cache/compare", "/v1/chat/completions"};

/// Where to, then the body.
void take_body(std::string_view input) {
  static answering_service service;
  static const answering_embeddings vectors;
  const auto path = posts[take_choice(input, posts.size())];
  const auto routed = route({"POST", path, input}, {service, &vectors});
  if (const auto* reply = std::get_if<http_reply>(&routed)) {
    const auto body = parsed(json::parse(reply->body));
    require(reply->status == 200 || body.at("error").at("message").as_string().size() > 0,
            "whoever is refused is told why");
    require(reply->status < 500, "nothing that a client sends is the server's fault");
  }
  if (const auto* call = std::get_if<openai_call>(&routed)) {
    require(!call->generations.empty() && call->generations.size() <= max_choices,
            "calls ask for 1 to 32 answers");
    if (const auto& output = call->generations.front().output)
      (void)grammar::rules_of(output->grammar);
  }
}

std::vector<std::string> bodies() {
  std::vector<std::string> seeds;
  const auto add = [&](char path, const char* body) { seeds.push_back(path + std::string{body}); };
  add(0,
      R"({"model":"served","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Hi"}]}],"max_tokens":8,"temperature":0.7,"top_p":0.9,"top_k":40,"min_p":0.05,"seed":7,"stop":["\n","END"],"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":3,"logit_bias":{"5":-100,"7":1.5},"presence_penalty":0.5,"frequency_penalty":-0.5,"repetition_penalty":1.1,"n":2,"user":"u"})");
  add(0,
      R"({"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"c","strict":true,"schema":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}})");
  add(0,
      R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"ok"}],"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{"x":{"type":"string"}}}}}],"tool_choice":"required","parallel_tool_calls":false})");
  add(0,
      R"({"messages":[{"role":"user","content":"x"}],"souffleur":{"speculation":{"policy":"fixed","max_draft":4,"branches":2,"drafter":"suffix","acceptance":"greedy"},"cache":{"mode":"semantic","threshold":0.9,"ttl_s":60,"refresh":true,"replay_tokens_per_s":30},"cache_priority":10,"cache_ttl_s":600,"attention_sinks":16,"attention_window":1024,"priority":5,"timeout_ms":10000,"trace":true},"prediction":{"type":"content","content":"abc"}})");
  add(0,
      R"({"messages":[{"role":"user","content":"x"}],"guided_regex":"[a-z]+","tool_choice":{"type":"function","function":{"name":"f"}}})");
  add(1,
      R"({"prompt":["a","b"],"echo":true,"n":2,"best_of":2,"suffix":"","guided_choice":["a","b"],"ignore_eos":true,"min_tokens":2,"stop_token_ids":[1,2]})");
  add(1, R"({"prompt":[[1,2,3],[4]],"logprobs":2,"guided_grammar":"root ::= \"a\"+"})");
  add(1,
      R"({"prompt":"x","structured_outputs":{"json":{"type":"array","items":{"type":"number"}}},"max_tokens":5})");
  add(2, R"({"input":["one","two"],"model":"small","encoding_format":"base64","dimensions":2})");
  add(3, R"({"content":"Hello","parse_special":false})");
  add(4, R"({"tokens":[72,101,255]})");
  add(5, R"({"a":"Turn the alarm on","b":"Turn the alarm off","threshold":0.9,"max_error":0.01})");
  return seeds;
}

/// Generations answer at once.
class answering_host final : public stream_host {
public:
  request_id submit(generation_request request, const stream_ptr& to) override {
    const auto id = ++n_submitted_;
    answering_service{}.submit(std::move(request), [&](generation_event event) {
      waiting_.push_back({id, to, std::move(event)});
    });
    return id;
  }
  void cancel(request_id id) override {
    std::erase_if(waiting_, [id](const auto& one) { return one.from == id; });
  }
  void change(request_id, const generation_change&) override {}
  void make_resumable(const stream_ptr& added) override { all_.add(added); }
  stream_ptr find_resumable(const std::string& token, const std::string& id,
                            const std::string& tenant) override {
    return all_.find(token, id, tenant);
  }
  void park(const stream_ptr& left) override { all_.park(left, now); }
  void unpark(const stream& back) override { all_.unpark(back); }
  void forget(const stream& gone) override { all_.forget(gone); }
  /// Some of the events that wait.
  void deliver(std::size_t n) {
    for (; n > 0 && !waiting_.empty(); --n) {
      auto one = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
      if (const auto there = one.to.lock())
        there->deliver(one.from, std::move(one.event));
    }
  }

  stream_time now{std::chrono::hours{1}};

private:
  struct delivery {
    request_id from = 0;
    std::weak_ptr<stream> to;
    generation_event event;
  };
  request_id n_submitted_ = 0;
  std::vector<delivery> waiting_;
  resumable_streams all_{std::chrono::seconds{30}, 100};
};

/// A frame a line; a line's first byte says how many events come before it.
void take_frames(std::string_view input) {
  answering_host host;
  stream_session session{host, {}, "served", "tenant", [] {}};
  const auto read_all = [&] {
    for (int i = 0; i < 64; ++i) {
      const auto frame = session.next(host.now);
      if (!frame)
        return;
      require(parsed(json::parse(*frame)).at("type").is_string(), "every frame has a type");
    }
  };
  while (!input.empty()) {
    host.deliver(take_choice(input, 4));
    const auto end = std::min(input.find('\n'), input.size());
    session.obey(input.substr(0, end), host.now);
    input.remove_prefix(std::min(end + 1, input.size()));
    host.now += std::chrono::seconds{1};
    read_all();
  }
  host.deliver(1'000);
  read_all();
  session.leave(true);
}

std::vector<std::string> frames() {
  std::vector<std::string> seeds;
  const auto conversations = json::parse([] {
    std::ifstream in{std::filesystem::path{SOUFFLEUR_SOURCE} / "tests" / "data" /
                     "stream_conversations.json"};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  }());
  for (const auto& conversation : conversations.as_array()) {
    std::string frames;
    for (const auto& step : conversation.at("steps").as_array())
      if (const auto* sent = step.as_object().if_contains("send"))
        frames += '\2' + json::serialize(*sent) + '\n';
    seeds.push_back(frames);
  }
  seeds.push_back(
      "\1{\"type\":\"resume\",\"id\":\"a\",\"token\":\"00\",\"after\":-1}\n\3{\"type\":\"update\",\"id\":"
      "\"a\","
      "\"max_tokens\":3,\"priority\":1}\n\1{\"type\":\"watch\",\"id\":\"w\",\"interval_ms\":100}\n");
  return seeds;
}

class listening {
public:
  listening() {
    set_up_logging("text", "off");
    server_options options;
    options.address = "unix:" + path();
    options.write_timeout = options.idle_timeout = std::chrono::seconds{5};
    auto started = server::start(options, service_, &vectors_);
    require(started.ok(), "the server listens");
    server_ = std::move(*started);
  }
  /// All that it answers to a client that sends this and no more. A client of the WebSocket waits for the
  /// answer to its first header.
  std::string answer_to(std::string_view bytes) const {
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    require(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
            "it accepts");
    std::string answer;
    const auto end = bytes.find("\r\n\r\n");
    if (const auto head = bytes.substr(0, end);
        end != std::string_view::npos && head.find("Upgrade: websocket") != std::string_view::npos) {
      constexpr int patience_ms = 100; // it may want more, too
      send(descriptor, head);
      send(descriptor, "\r\n\r\n");
      receive(descriptor, answer, patience_ms);
      bytes.remove_prefix(end + 4);
    }
    send(descriptor, bytes);
    ::shutdown(descriptor, SHUT_WR);
    constexpr int patience_ms = 20'000;
    auto got = receipt::some;
    while (got == receipt::some)
      got = receive(descriptor, answer, patience_ms);
    ::close(descriptor);
    require(got == receipt::end, "a connection whose client has left ends");
    return answer;
  }

private:
  enum class receipt { some, nothing, end };

  std::string path() const { return (folder_.path() / "s").string(); }
  /// Until the server does not want to hear more.
  static void send(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0)
        return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  static receipt receive(int descriptor, std::string& into, int patience_ms) {
    pollfd asked{descriptor, POLLIN, 0};
    int n_ready = 0;
    do // libFuzzer's own alarm interrupts it
      n_ready = ::poll(&asked, 1, patience_ms);
    while (n_ready < 0 && errno == EINTR);
    if (n_ready != 1)
      return receipt::nothing;
    std::array<char, 65536> part{};
    const auto n = ::recv(descriptor, part.data(), part.size(), 0);
    if (n <= 0)
      return receipt::end;
    into.append(part.data(), static_cast<std::size_t>(n));
    return receipt::some;
  }

  testing::scratch_folder folder_;
  answering_service service_;
  answering_embeddings vectors_;
  std::unique_ptr<server> server_;
};

void take_connection(std::string_view input) {
  static const listening server;
  const auto answer = server.answer_to(input);
  require(answer.empty() || answer.starts_with("HTTP/1."), "what is answered is HTTP");
}

std::string masked_frame(std::string_view text, char opcode = '\x81') {
  std::string frame{opcode};
  frame += static_cast<char>(0x80 | text.size());
  frame.append(4, '\0'); // masked with zeros: the text stays legible to who mutates it
  return frame.append(text);
}

std::vector<std::string> connections() {
  const std::string chat = R"({"messages":[{"role":"user","content":"hi"}]})";
  const std::string streamed = R"({"stream":true,"messages":[{"role":"user","content":"hi"}]})";
  const auto post = [](const std::string& path, const std::string& body) {
    return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  const std::string upgrade =
      "GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Protocol: souffleur.v1, souffleur.key.0123456789abcdef\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
  return {
      post("/v1/chat/completions", chat),
      post("/v1/chat/completions", streamed) + "GET /health HTTP/1.1\r\n\r\n",
      "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nAuthorization: "
      "Bearer "
      "0123456789abcdef\r\n\r\n10\r\n{\"prompt\":\"abc\"}\r\n0\r\nX-Trailer: 1\r\n\r\n",
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "HEAD /v1/models HTTP/1.1\r\nX-Request-Id: abc\r\n\r\n",
      "OPTIONS /v1/embeddings HTTP/1.1\r\nOrigin: http://x\r\n\r\n",
      post("/v1/embeddings", R"({"input":"a"})") +
          "DELETE /souffleur/cache HTTP/1.1\r\n\r\nGET /souffleur/kv?x=1 HTTP/1.1\r\n\r\n",
      "GET /souffleur/trace/chatcmpl-1-1 HTTP/1.1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
      upgrade + masked_frame(R"({"type":"generate","id":"a","prompt":"x","resumable":true})") +
          masked_frame("p", '\x89') + masked_frame(R"({"type":"cancel","id":"a"})") +
          masked_frame("\x03\xe8", '\x88'),
      upgrade + masked_frame("\xaa\x56\x4a\x2a\x4a\x4d\x2c\x49\x55\x02\x00", '\xc1') +
          masked_frame("b", '\x82')};
}

const registered requests{{"openai-request", take_body, bodies}};
const registered stream_frames{{"stream-frames", take_frames, frames}};
const registered wire{{"http-connection", take_connection, connections}};

} // namespace
} // namespace souffleur::fuzz
