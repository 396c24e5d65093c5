#include "engine/unix_time.hpp"
#include "net/connection.hpp"
#include "net/http_routes.hpp"
#include "net/openai_embeddings.hpp"
#include "net/openai_response.hpp"
#include "net/responses_answer.hpp"
#include "net/stream/subprotocol.hpp"
#include "net/websocket_connection.hpp"
#include "net/websocket_echo.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

namespace souffleur {

namespace {

namespace http = beast::http;
using boost::system::error_code;
using request_parser = http::request_parser<http::string_body>;
using request_message = http::request<http::string_body>;

/// Notices that the client left while its request runs. A client that shuts its sending side down counts as
/// gone. `waiter`: an event_mailbox or an embedding_wait.
template <class Waiter>
asio::awaitable<void> watch_peer(client_stream& stream, std::shared_ptr<Waiter> waiter) {
  constexpr std::chrono::milliseconds look_again{50};
  const auto error = co_await stream.wait_readable();
  if (error || waiter->retired())
    co_return; // the answer is finished, `stream` may be gone
  asio::steady_timer timer{stream.get_executor()};
  while (!stream.has_hung_up()) { // it has sent its next request
    error_code ignored;
    timer.expires_after(look_again);
    co_await timer.async_wait(result_in(ignored));
    if (waiter->retired())
      co_return;
  }
  waiter->peer_gone = true;
  waiter->wake();
}

/// A connection that waits for embeddings.
class embedding_wait final : public std::enable_shared_from_this<embedding_wait> {
public:
  explicit embedding_wait(context_ptr context) : context_(std::move(context)), signal_(context_) {}

  /// REQUIRES: the server has an embedding_service.
  void ask(embedding_request request) {
    request.client = asked_;
    context_->embedding->embed(std::move(request),
                               [context = context_, to = weak_from_this()](embedding_event event) {
                                 asio::post(context->io, [to, event = std::move(event)]() mutable {
                                   if (const auto there = to.lock()) {
                                     there->event = std::move(event);
                                     there->wake();
                                   }
                                 });
                               });
  }
  /// Returns once there is an event, or the peer is gone, or the server stops.
  asio::awaitable<void> wait() { return signal_.wait(); }
  void wake() { signal_.wake(); }
  /// The connection waits no more, and nothing more is computed for it.
  void retire() { asked_.reset(); }
  bool retired() const { return !asked_; }

  std::optional<embedding_event> event;
  bool peer_gone = false;

private:
  context_ptr context_;
  io_signal signal_;
  std::shared_ptr<const bool> asked_ = std::make_shared<const bool>(true);
};

template <class Answer>
struct service_answer {
  explicit service_answer(context_ptr context) : signal(std::move(context)) {}
  io_signal signal;
  std::optional<Answer> content;
};

/// What the service says to `ask(sink)`. When the server stops: nothing.
template <class Answer, class Ask>
asio::awaitable<std::optional<Answer>> answer_to(context_ptr context, Ask ask) {
  const auto answer = std::make_shared<service_answer<Answer>>(context);
  ask([context, to = std::weak_ptr{answer}](std::optional<Answer> content) {
    asio::post(context->io, [to, content = std::move(content)]() mutable {
      if (const auto there = to.lock()) {
        there->content = std::move(content);
        there->signal.wake();
      }
    });
  });
  co_await answer->signal.wait();
  co_return std::move(answer->content);
}

/// As which the client offers its key: in the header, or, from a browser's WebSocket, as a subprotocol.
std::string_view key_in(const request_message& request) {
  const auto header = request[http::field::authorization];
  if (!header.empty())
    return bearer_key({header.data(), header.size()});
  for (const auto& offered : http::token_list{request[http::field::sec_websocket_protocol]})
    if (const std::string_view name{offered.data(), offered.size()}; name.starts_with(key_subprotocol))
      return name.substr(key_subprotocol.size());
  return {};
}

bool has_key(const request_message& request) { return !key_in(request).empty(); }

/// Nothing: the server has keys, and the client none of them.
std::optional<std::string> tenant_of(const request_message& request, const server_context& context) {
  if (!context.access.keys)
    return std::string{request[http::field::authorization]};
  return context.access.keys->tenant_of(key_in(request));
}

/// The header's word on caching (RFC 9111) where the body has none.
void heed_cache_control(std::string_view header, cache_wish& wish) {
  if (header.find("no-store") != std::string_view::npos && !wish.mode)
    wish.mode = cache_mode::off;
  if (header.find("no-cache") != std::string_view::npos)
    wish.refresh = true;
}

class http_connection final : public stop_listener {
public:
  http_connection(client_stream stream, context_ptr context)
      : stream_(std::move(stream)), context_(std::move(context)) {
    context_->stop_listeners.insert(this);
  }
  ~http_connection() { context_->stop_listeners.erase(this); }
  http_connection(const http_connection&) = delete;
  http_connection& operator=(const http_connection&) = delete;

  /// A request that is being answered gets its answer; its mailbox hears of the stop, too.
  void on_stop() override {
    if (!answering_)
      stream_.close();
  }
  void on_stop_overdue() override {
    if (!upgraded_)
      stream_.close();
  }

  asio::awaitable<void> serve() {
    bool keep_alive = !co_await stream_.handshake(context_->options.idle_timeout);
    while (keep_alive && !context_->stopping) {
      auto request = co_await read();
      if (!request)
        break;
      if (is_websocket(*request)) {
        co_await upgrade(std::move(*request));
        co_return;
      }
      answering_ = true;
      keep_alive = co_await answer(*request);
      answering_ = false;
    }
    co_await stream_.shutdown_send();
  }

private:
  static std::string_view path_of(const request_message& request) {
    const std::string_view target{request.target().data(), request.target().size()};
    return target.substr(0, target.find('?'));
  }

  std::string name_of(const request_message& request) const {
    constexpr std::size_t most = 128;
    const auto given = request["X-Request-Id"];
    const bool is_usable = !given.empty() && given.size() <= most &&
                           std::all_of(given.begin(), given.end(), [](char c) { return c > ' ' && c < 127; });
    return is_usable ? std::string{given} : "req-" + std::to_string(context_->next_request);
  }

  bool is_websocket(const request_message& request) const {
    const auto path = path_of(request);
    return beast::websocket::is_upgrade(request) &&
           (path == "/v1/stream" || (context_->options.echo && path == "/echo"));
  }

  /// Serves a WebSocket until it ends, or says why not.
  asio::awaitable<void> upgrade(request_message request) {
    auto tenant = tenant_of(request, *context_);
    const auto offers = request[http::field::sec_websocket_protocol];
    std::optional<http_reply> refusal;
    if (!tenant)
      refusal = no_key_reply(has_key(request));
    else if (!choose_subprotocol({offers.data(), offers.size()}))
      refusal = error_reply(unknown_subprotocol({offers.data(), offers.size()}));
    if (refusal) {
      co_await send(*refusal, request.version(), false, false);
      co_return;
    }
    answering_ = upgraded_ = true;
    if (path_of(request) == "/v1/stream")
      co_await serve_websocket(std::move(stream_), std::move(request), std::move(*tenant), context_);
    else
      co_await serve_echo(std::move(stream_), std::move(request), context_);
  }

  /// Nothing if the connection is over.
  asio::awaitable<std::optional<request_message>> read() {
    request_parser parser;
    parser.header_limit(static_cast<std::uint32_t>(context_->options.max_header_bytes));
    parser.body_limit(context_->options.max_body_bytes);
    error_code error;
    co_await read_first_bytes(error);
    stream_.expires_after(context_->options.header_timeout);
    if (!error)
      co_await http::async_read_header(stream_, buffer_, parser, result_in(error));
    if (!error && !parser.is_done()) {
      if (beast::iequals(parser.get()[http::field::expect], "100-continue"))
        co_await send_continue(error);
      stream_.expires_after(context_->options.idle_timeout);
      if (!error)
        co_await http::async_read(stream_, buffer_, parser, result_in(error));
    }
    if (error) {
      co_await complain(error);
      co_return std::nullopt;
    }
    co_return parser.release();
  }

  /// A header's time begins with its first byte: who sends it drop by drop is cut off, who is silent may be.
  asio::awaitable<void> read_first_bytes(error_code& error) {
    constexpr std::size_t most = 4096;
    if (buffer_.size() > 0)
      co_return;
    stream_.expires_after(context_->options.idle_timeout);
    buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(most), result_in(error)));
  }

  asio::awaitable<void> send_continue(error_code& error) {
    http::response<http::empty_body> go_on{http::status::continue_, 11};
    co_await http::async_write(stream_, go_on, result_in(error));
  }

  /// Answers what could not be read as a request, if the client is still there to hear it.
  asio::awaitable<void> complain(const error_code& error) {
    if (error == http::error::end_of_stream || error == beast::error::timeout || error == asio::error::eof ||
        error.category() != make_error_code(http::error::bad_method).category())
      co_return;
    generation_failed why{400, "bad_http", "This is not an HTTP/1.1 request: " + error.message() + ".", "",
                          0};
    if (error == http::error::body_limit)
      why = {413, "body_too_large",
             "The body has more than " + std::to_string(context_->options.max_body_bytes) + " bytes.", "", 0};
    else if (error == http::error::header_limit)
      why = {431, "header_too_large",
             "The header has more than " + std::to_string(context_->options.max_header_bytes) + " bytes.", "",
             0};
    const auto reply = error_reply(why);
    co_await send(reply, 11, false, false);
    co_await drain();
  }

  /// Closing with unread input would reset the connection, and the client might not see the answer. Bounded,
  /// because a client may send for ever.
  asio::awaitable<void> drain() {
    constexpr std::size_t max_drained_bytes = 64 << 20;
    error_code error;
    co_await stream_.shutdown_send();
    std::vector<char> scratch(1 << 16);
    stream_.expires_after(std::chrono::seconds{5});
    for (std::size_t n = 0; n < max_drained_bytes && !error;)
      n += co_await stream_.async_read_some(asio::buffer(scratch), result_in(error));
  }

  /// False if the connection has to close.
  asio::awaitable<bool> answer(const request_message& request) {
    request_name_ = name_of(request);
    limit_fields_.clear();
    const std::string method{request.method_string()};
    const http_query query{method, path_of(request), request.body()};
    const auto caller = tenant_of(request, *context_);
    if (!caller && !is_open_to_all(query))
      co_return co_await send(no_key_reply(has_key(request)), request.version(), request.keep_alive(),
                              method == "HEAD");
    const std::string tenant = caller.value_or("");
    auto routed =
        route(query, {context_->service, context_->embedding, context_->observation, context_->faults});
    if (const auto* reply = std::get_if<http_reply>(&routed))
      co_return co_await send(*reply, request.version(), request.keep_alive(), method == "HEAD");
    if (const auto* question = std::get_if<kv_question>(&routed)) {
      const auto summary = co_await answer_to<kv_summary>(
          context_, [&](kv_sink sink) { context_->service.ask_kv(question->n_prefixes, std::move(sink)); });
      co_return co_await send(kv_reply(summary, context_->service.model()), request.version(),
                              request.keep_alive(), method == "HEAD");
    }
    if (std::holds_alternative<purge_order>(routed)) {
      const auto purged = co_await answer_to<cache_purged>(
          context_, [&](purge_sink sink) { context_->service.forget_answers(tenant, std::move(sink)); });
      co_return co_await send(purge_reply(purged), request.version(), request.keep_alive(), false);
    }
    if (const auto* question = std::get_if<trace_question>(&routed))
      co_return co_await send(trace_reply(context_->observation->trace(question->id, tenant),
                                          context_->writes.of(question->id), context_->service.model()),
                              request.version(), request.keep_alive(), method == "HEAD");
    if (const auto* call = std::get_if<comparison_call>(&routed))
      co_return co_await compare(*call, tenant, request);
    if (auto* call = std::get_if<embedding_call>(&routed)) {
      call->request.tenant = tenant;
      co_return co_await embed(std::move(*call), request);
    }
    auto& call = std::get<openai_call>(routed);
    const std::string_view control{request[http::field::cache_control].data(),
                                   request[http::field::cache_control].size()};
    for (auto& generation : call.generations) {
      generation.tenant = tenant;
      heed_cache_control(control, generation.cache);
    }
    co_return co_await generate(call, request);
  }

  asio::awaitable<bool> embed(embedding_call call, const request_message& request) {
    co_return co_await answer_with_vectors(
        std::move(call.request), request, [this, as_base64 = call.as_base64](const embeddings& found) {
          return embedding_body(found, as_base64, context_->embedding->embedder()->name);
        });
  }

  asio::awaitable<bool> compare(const comparison_call& call, const std::string& tenant,
                                const request_message& request) {
    auto questions = questions_of(call);
    questions.tenant = tenant;
    co_return co_await answer_with_vectors(
        std::move(questions), request, [this, &call](const embeddings& found) {
          return comparison_body(call, found,
                                 context_->observation ? context_->observation->rules() : cache_rules{});
        });
  }

  /// `body_of`: the reply to make of the embeddings.
  template <class BodyOf>
  asio::awaitable<bool> answer_with_vectors(embedding_request wanted, const request_message& request,
                                            BodyOf body_of) {
    const auto tenant = wanted.tenant;
    const auto refused = admit(*context_, tenant);
    limit_fields_ = limit_fields(*context_, tenant);
    if (refused)
      co_return co_await send(error_reply(*refused), request.version(), request.keep_alive(), false);
    const auto waiter = std::make_shared<embedding_wait>(context_);
    asio::co_spawn(context_->io, watch_peer(stream_, waiter), asio::detached);
    waiter->ask(std::move(wanted));
    co_await waiter->wait();
    waiter->retire();
    stream_.cancel_wait(); // ends watch_peer
    if (waiter->peer_gone)
      co_return false;
    if (!waiter->event)
      co_return co_await send(stopping_reply(), request.version(), false, false);
    http_reply reply;
    if (const auto* failed = std::get_if<generation_failed>(&*waiter->event)) {
      reply = error_reply(*failed);
    } else {
      for (const auto& one : std::get<embeddings>(*waiter->event))
        charge(*context_, tenant, one.n_ids);
      reply.body = boost::json::serialize(body_of(std::get<embeddings>(*waiter->event)));
    }
    co_return co_await send(reply, request.version(), request.keep_alive(), false);
  }

  asio::awaitable<bool> generate(openai_call& call, const request_message& request) {
    const auto mailbox = std::make_shared<event_mailbox>(context_);
    mailbox->on_overflow = [this] { stream_.close(); };
    asio::co_spawn(context_->io, watch_peer(stream_, mailbox), asio::detached);
    const auto response = answer_for(call);
    first_id_ = 0;
    const auto tenant = call.generations.front().tenant;
    for (auto& generation : call.generations) {
      const auto id = mailbox->submit(std::move(generation));
      if (first_id_ == 0)
        first_id_ = id;
    }
    limit_fields_ = limit_fields(*context_, tenant);
    const bool keep = call.stream ? co_await stream_events(*response, *mailbox, request)
                                  : co_await collect_events(*response, *mailbox, request);
    mailbox->retire();
    stream_.cancel_wait(); // ends watch_peer
    co_return keep;
  }

  int choice_of(const event_mailbox::delivery& delivered) const {
    return static_cast<int>(delivered.from - first_id_);
  }

  std::unique_ptr<call_answer> answer_for(const openai_call& call) const {
    const auto bytes_of = [this](token_id token) { return context_->service.detokenize({token}); };
    if (call.responses)
      return std::make_unique<responses_answer>(call, identity("resp_"), bytes_of);
    return std::make_unique<openai_response>(call, identity(call.chat ? "chatcmpl-" : "cmpl-"), bytes_of);
  }

  response_identity identity(const char* prefix) const {
    return {prefix + request_name(context_->next_request, context_->service.model().created_s),
            context_->service.model().name, "fp_" + context_->service.model().fingerprint, unix_now_s()};
  }

  asio::awaitable<bool> collect_events(call_answer& response, event_mailbox& mailbox,
                                       const request_message& request) {
    while (!response.ended() && !response.failure()) {
      co_await mailbox.wait();
      if (mailbox.peer_gone)
        co_return false;
      if (context_->stopping)
        co_return co_await send(stopping_reply(), request.version(), false, false);
      for (const auto& delivered : mailbox.take())
        response.collect(choice_of(delivered), delivered.event);
    }
    http_reply reply;
    if (response.failure())
      reply = error_reply(*response.failure());
    else
      reply.body = boost::json::serialize(response.body());
    co_return co_await send(reply, request.version(), request.keep_alive(), false);
  }

  static http_reply stopping_reply() {
    return error_reply({503, "shutting_down", "The server is shutting down.", "", 1});
  }

  asio::awaitable<bool> stream_events(call_answer& response, event_mailbox& mailbox,
                                      const request_message& request) {
    bool begun = false;
    const bool chunked = request.version() >= 11;
    while (!response.ended()) {
      co_await mailbox.wait();
      if (mailbox.peer_gone)
        co_return false;
      std::string events;
      for (const auto& delivered : mailbox.take())
        events += response.stream(choice_of(delivered), delivered.event);
      // A request that fails before its first token gets an HTTP status.
      if (!begun && response.failure())
        co_return co_await send(error_reply(*response.failure()), request.version(), request.keep_alive(),
                                false);
      if (!begun && context_->stopping)
        co_return co_await send(stopping_reply(), request.version(), false, false);
      if (context_->stopping)
        co_return false;
      if (!begun && !events.empty()) {
        if (!co_await begin_stream(request))
          co_return false;
        begun = true;
      }
      const auto began = std::chrono::steady_clock::now();
      if (!events.empty() && !co_await send_chunk(events, chunked))
        co_return false;
      if (!events.empty())
        context_->writes.note(first_id_, {began, std::chrono::steady_clock::now()});
    }
    co_return co_await end_stream(chunked, request.keep_alive());
  }

  asio::awaitable<bool> begin_stream(const request_message& request) {
    http::response<http::empty_body> head{http::status::ok, request.version()};
    set_common_fields(head, request.version() >= 11 && request.keep_alive());
    head.set(http::field::content_type, "text/event-stream; charset=utf-8");
    head.set(http::field::cache_control, "no-cache");
    head.set("X-Accel-Buffering", "no");
    if (request.version() >= 11)
      head.chunked(true);
    http::response_serializer<http::empty_body> serializer{head};
    error_code error;
    stream_.expires_after(context_->options.write_timeout);
    co_await http::async_write_header(stream_, serializer, result_in(error));
    stream_.expires_never();
    co_return !error;
  }

  asio::awaitable<bool> send_chunk(const std::string& events, bool chunked) {
    error_code error;
    stream_.expires_after(context_->options.write_timeout);
    if (chunked) {
      const auto chunk = http::make_chunk(asio::buffer(events));
      co_await asio::async_write(stream_, chunk, result_in(error));
    } else {
      co_await asio::async_write(stream_, asio::buffer(events), result_in(error));
    }
    stream_.expires_never();
    co_return !error;
  }

  asio::awaitable<bool> end_stream(bool chunked, bool keep_alive) {
    if (!chunked)
      co_return false;
    error_code error;
    stream_.expires_after(context_->options.write_timeout);
    const auto last = http::make_chunk_last();
    co_await asio::async_write(stream_, last, result_in(error));
    stream_.expires_never();
    co_return !error && keep_alive;
  }

  template <class Fields>
  void set_common_fields(Fields& head, bool keep_alive) const {
    head.set(http::field::server, "souffleur");
    head.set(http::field::access_control_allow_origin, "*");
    head.set(http::field::access_control_allow_headers,
             "Authorization, Cache-Control, Content-Type, X-Request-Id");
    head.set(http::field::access_control_expose_headers, "*");
    head.set("X-Request-Id", request_name_);
    for (const auto& [name, value] : limit_fields_)
      head.set(name, value);
    head.keep_alive(keep_alive);
  }

  asio::awaitable<bool> send(const http_reply& reply, unsigned version, bool keep_alive, bool head_only) {
    http::response<http::string_body> response{static_cast<http::status>(reply.status), version};
    set_common_fields(response, keep_alive);
    if (!reply.content_type.empty())
      response.set(http::field::content_type, reply.content_type);
    if (!reply.allow.empty()) {
      response.set(http::field::allow, reply.allow);
      response.set(http::field::access_control_allow_methods, reply.allow);
    }
    if (reply.wants_key)
      response.set(http::field::www_authenticate, "Bearer");
    for (const auto& [name, value] : reply.headers)
      response.set(name, value);
    if (reply.retry_after_s > 0)
      response.set(http::field::retry_after, std::to_string(reply.retry_after_s));
    if (!head_only)
      response.body() = reply.body;
    response.prepare_payload();
    if (response.result() == http::status::no_content)
      response.content_length(boost::none); // RFC 9110, section 8.6
    if (head_only)
      response.content_length(reply.body.size());
    error_code error;
    stream_.expires_after(context_->options.write_timeout);
    co_await http::async_write(stream_, response, result_in(error));
    stream_.expires_never();
    co_return !error && keep_alive;
  }

  client_stream stream_;
  context_ptr context_;
  beast::flat_buffer buffer_;
  std::string request_name_ = "none"; ///< of the request that is answered: the client's, or made here
  std::vector<std::pair<std::string, std::string>> limit_fields_;
  bool answering_ = false;
  bool upgraded_ = false;   ///< `stream_` was handed on
  request_id first_id_ = 0; ///< of the call being answered; its choices have consecutive ids
};

} // namespace

asio::awaitable<void> serve_http(client_stream stream, context_ptr context) {
  http_connection connection{std::move(stream), std::move(context)};
  co_await connection.serve();
}

} // namespace souffleur
