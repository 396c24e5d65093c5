#include "examples/load/openai_chunk.hpp"
#include "examples/load/sse_parser.hpp"
#include "examples/load/target.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <array>

namespace souffleur::load {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using boost::system::error_code;
using boost::system::system_error;

struct place {
  std::string host;
  std::string port;
  std::string path;
  bool completions = false;
};

/// Reads one answer's body, whatever it turns out to be, into its log.
class answer_reader {
public:
  answer_reader(answer_log& log, int cancel_after) : log_(log), cancel_after_(cancel_after) {}

  void feed(std::string_view bytes, time_point when) {
    events_.feed(bytes, [&](std::string_view data) { take(data, when); });
  }
  /// The client has seen enough.
  bool gives_up() const { return cancel_after_ > 0 && log_.n_outputs() >= cancel_after_; }
  bool ended() const { return done_ || saw_finish_; }
  const std::string& error() const { return error_; }

private:
  void take(std::string_view data, time_point when) {
    if (data == "[DONE]") {
      done_ = true;
      return;
    }
    const auto chunk = parse_openai_chunk(data);
    if (!chunk)
      return fail("an event that is not JSON: " + std::string{data.substr(0, 80)});
    if (!chunk->error.empty())
      return fail(chunk->error);
    if (!chunk->text.empty())
      log_.output(when, chunk->text);
    log_.usage(chunk->n_prompt, chunk->n_cached, chunk->n_output);
    if (!chunk->source.empty())
      log_.source(chunk->source);
    if (!chunk->finish_reason.empty()) {
      log_.finish(chunk->finish_reason);
      saw_finish_ = true;
    }
  }
  void fail(std::string why) {
    if (error_.empty())
      error_ = std::move(why);
  }

  answer_log& log_;
  const int cancel_after_;
  sse_parser events_;
  bool done_ = false;
  bool saw_finish_ = false;
  std::string error_;
};

using answer_parser = http::response_parser<http::buffer_body>;

class openai_connection final : public connection {
public:
  openai_connection(asio::any_io_executor executor, std::shared_ptr<const place> where,
                    std::shared_ptr<const request_settings> settings)
      : where_(std::move(where)), settings_(std::move(settings)), stream_(executor) {}

  asio::awaitable<void> open() {
    asio::ip::tcp::resolver resolver{stream_.get_executor()};
    const auto found = co_await resolver.async_resolve(where_->host, where_->port, asio::use_awaitable);
    stream_.expires_after(settings_->timeout);
    co_await stream_.async_connect(found, asio::use_awaitable);
    stream_.socket().set_option(asio::ip::tcp::no_delay{true});
  }

  asio::awaitable<void> ask(question asked, pacer& when, answer_log& log) override {
    reusable_ = false;
    auto request = request_for(asked);
    co_await when.until(asked.send_at);
    stream_.expires_after(settings_->timeout);
    log.sent();
    co_await http::async_write(stream_, request, asio::use_awaitable);
    answer_parser parser;
    parser.body_limit(boost::none);
    parser.eager(true);
    co_await http::async_read_header(stream_, buffer_, parser, asio::use_awaitable);
    if (parser.get().result_int() != 200) {
      auto why = co_await read_error(parser);
      log.end(request_outcome::failed, std::move(why));
      co_return;
    }
    answer_reader reader{log, asked.cancel_after};
    while (!parser.is_done() && !reader.gives_up()) {
      const auto bytes = co_await read_some(parser);
      reader.feed(bytes, std::chrono::steady_clock::now());
    }
    if (reader.gives_up() && !parser.is_done()) {
      log.end(request_outcome::cancelled);
      co_return;
    }
    reusable_ = parser.get().keep_alive();
    if (!reader.error().empty())
      log.end(request_outcome::failed, reader.error());
    else if (!reader.ended())
      log.end(request_outcome::failed, "the answer has no end");
    else
      log.end(request_outcome::completed);
  }

  bool reusable() const override { return reusable_; }

private:
  http::request<http::string_body> request_for(const question& asked) const {
    auto body = request_body(asked, *settings_, where_->completions);
    body["stream"] = true;
    body["stream_options"] = json::object{{"include_usage", true}};
    http::request<http::string_body> request{http::verb::post, where_->path, 11};
    request.set(http::field::host, where_->host + ":" + where_->port);
    request.set(http::field::content_type, "application/json");
    request.set(http::field::accept, "text/event-stream");
    if (!settings_->api_key.empty())
      request.set(http::field::authorization, "Bearer " + settings_->api_key);
    request.body() = json::serialize(body);
    request.prepare_payload();
    return request;
  }

  /// Body bytes that have come; maybe none. They live until the next call.
  asio::awaitable<std::string_view> read_some(answer_parser& parser) {
    auto& body = parser.get().body();
    body.data = piece_.data();
    body.size = piece_.size();
    error_code error;
    co_await http::async_read_some(stream_, buffer_, parser,
                                   asio::redirect_error(asio::use_awaitable, error));
    if (error && error != http::error::need_buffer)
      throw system_error{error};
    co_return std::string_view{piece_.data(), piece_.size() - body.size};
  }

  asio::awaitable<std::string> read_error(answer_parser& parser) {
    std::string text;
    while (!parser.is_done() && text.size() < 65536) {
      const auto bytes = co_await read_some(parser);
      text += bytes;
    }
    reusable_ = parser.is_done() && parser.get().keep_alive();
    error_code error;
    const auto value = json::parse(text, error);
    const auto message = !error && value.is_object() ? error_in(value.get_object()) : text.substr(0, 200);
    co_return "HTTP " + std::to_string(parser.get().result_int()) + ": " + message;
  }

  std::shared_ptr<const place> where_;
  std::shared_ptr<const request_settings> settings_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::array<char, 16384> piece_;
  bool reusable_ = true;
};

class openai_target final : public target {
public:
  openai_target(place where, request_settings settings)
      : where_(std::make_shared<const place>(std::move(where))),
        settings_(std::make_shared<const request_settings>(std::move(settings))) {}

  asio::awaitable<std::unique_ptr<connection>> connect() override {
    auto made = std::make_unique<openai_connection>(co_await asio::this_coro::executor, where_, settings_);
    co_await made->open();
    co_return made;
  }

private:
  std::shared_ptr<const place> where_;
  std::shared_ptr<const request_settings> settings_;
};

} // namespace

std::unique_ptr<target> make_openai_target(std::string host, std::string port, std::string path,
                                           bool completions, request_settings settings) {
  return std::make_unique<openai_target>(
      place{std::move(host), std::move(port), std::move(path), completions}, std::move(settings));
}

} // namespace souffleur::load
