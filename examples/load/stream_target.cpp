#include "examples/load/target.hpp"
#include "net/client/stream_client.hpp"

#include <boost/json/object.hpp>

namespace souffleur::load {

namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using client::frame_kind;
using client::stream_frame;

std::int64_t count_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : -1;
}

const json::object& object_at(const json::object& object, std::string_view key) {
  static const json::object empty;
  const auto* value = object.if_contains(key);
  const auto* found = value != nullptr ? value->if_object() : nullptr;
  return found != nullptr ? *found : empty;
}

std::string text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

void take_end(const stream_frame& frame, bool gave_up, answer_log& log) {
  if (frame.kind == frame_kind::error)
    return log.end(request_outcome::failed, std::string{frame.error_message()});
  const auto& usage = object_at(frame.body, "usage");
  log.usage(count_at(usage, "prompt_tokens"),
            count_at(object_at(usage, "prompt_tokens_details"), "cached_tokens"),
            count_at(usage, "completion_tokens"));
  log.finish(text_at(frame.body, "finish_reason"));
  log.source(text_at(object_at(frame.body, "cache"), "source"));
  log.end(gave_up ? request_outcome::cancelled : request_outcome::completed);
}

class websocket_connection final : public connection {
public:
  websocket_connection(client::stream_client connected, std::shared_ptr<const request_settings> settings,
                       bool completions)
      : client_(std::move(connected)), settings_(std::move(settings)), completions_(completions) {}

  asio::awaitable<void> ask(question asked, pacer& when, answer_log& log) override {
    auto body = request_body(asked, *settings_, completions_);
    co_await when.until(asked.send_at);
    log.sent();
    auto stream = client_.generate(std::move(body));
    bool gave_up = false;
    for (;;) {
      const auto frame = co_await stream.next();
      if (!frame)
        break;
      if (frame->is_last())
        take_end(*frame, gave_up, log);
      else if (!frame->text().empty() && !gave_up)
        log.output(frame->arrived, frame->text(), static_cast<int>(frame->n_tokens()));
      if (asked.cancel_after > 0 && log.n_outputs() >= asked.cancel_after && !gave_up && !frame->is_last()) {
        gave_up = true;
        stream.cancel();
      }
    }
  }

  bool reusable() const override { return client_.is_open(); }

private:
  client::stream_client client_;
  std::shared_ptr<const request_settings> settings_;
  bool completions_;
};

class stream_target final : public target {
public:
  stream_target(std::string url, bool completions, request_settings settings)
      : url_(std::move(url)), completions_(completions),
        settings_(std::make_shared<const request_settings>(std::move(settings))) {}

  asio::awaitable<std::unique_ptr<connection>> connect() override {
    client::connect_options options;
    options.api_key = settings_->api_key;
    options.silence = settings_->timeout;
    auto connected = co_await client::stream_client::connect(url_, options);
    co_return std::make_unique<websocket_connection>(std::move(connected), settings_, completions_);
  }

private:
  std::string url_;
  bool completions_;
  std::shared_ptr<const request_settings> settings_;
};

} // namespace

std::unique_ptr<target> make_stream_target(std::string url, bool completions, request_settings settings) {
  return std::make_unique<stream_target>(std::move(url), completions, std::move(settings));
}

} // namespace souffleur::load
