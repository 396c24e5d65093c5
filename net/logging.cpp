#include "net/logging.hpp"

#include "net/json_fields.hpp"
#include "net/openai_response.hpp"

#include <boost/json/serialize.hpp>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>

namespace souffleur {

namespace json = boost::json;

namespace {

/// Of the record that this thread is about to log: spdlog has no place for them.
thread_local const json::object* fields_beside = nullptr;

void append(spdlog::memory_buf_t& to, std::string_view text) {
  to.append(text.data(), text.data() + text.size());
}

/// RFC 3339, in UTC, with milliseconds.
std::string time_of(const spdlog::details::log_msg& record) {
  const auto since = record.time.time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  const std::time_t s = ms / 1000;
  std::tm parts{};
  gmtime_r(&s, &parts);
  char text[32];
  const auto n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  const auto fraction = std::to_string(1000 + ms % 1000).substr(1);
  return std::string(text, n) + "." + fraction + "Z";
}

/// For a person: Boost.JSON writes 0.5 as 5E-1.
std::string shown(const json::value& value) {
  return value.is_double() ? fmt::format("{}", value.get_double()) : json::serialize(value);
}

class text_formatter final : public spdlog::formatter {
public:
  void format(const spdlog::details::log_msg& record, spdlog::memory_buf_t& to) override {
    if (!fields_beside)
      return line_.format(record, to);
    std::string message{record.payload.data(), record.payload.size()};
    for (const auto& [name, value] : *fields_beside)
      message.append(" ").append(std::string_view{name.data(), name.size()}).append("=").append(shown(value));
    auto whole = record;
    whole.payload = message;
    line_.format(whole, to);
    record.color_range_start = whole.color_range_start;
    record.color_range_end = whole.color_range_end;
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<text_formatter>(); }

private:
  spdlog::pattern_formatter line_;
};

class json_formatter final : public spdlog::formatter {
public:
  void format(const spdlog::details::log_msg& record, spdlog::memory_buf_t& to) override {
    const auto level = spdlog::level::to_string_view(record.level);
    json::object line{{"time", time_of(record)},
                      {"level", json::string_view{level.data(), level.size()}},
                      {"message", valid_utf8({record.payload.data(), record.payload.size()})}};
    if (fields_beside)
      for (const auto& [name, value] : *fields_beside)
        line[name] = value;
    append(to, json::serialize(line));
    append(to, "\n");
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<json_formatter>(); }
};

json::object fields_of(const generation_finished& end) {
  const auto& usage = end.usage;
  json::object fields{
      {"outcome", to_string(end.reason)},         {"prompt_tokens", usage.n_prompt_tokens},
      {"cached_tokens", usage.n_cached_tokens},   {"output_tokens", usage.n_output_tokens},
      {"queue_ms", rounded_ms(usage.queue_ms)},   {"prefill_ms", rounded_ms(usage.prefill_ms)},
      {"decode_ms", rounded_ms(usage.decode_ms)}, {"source", to_string(usage.source)}};
  if (usage.n_drafted_tokens > 0) {
    fields["drafted_tokens"] = usage.n_drafted_tokens;
    fields["accepted_tokens"] = usage.n_accepted_tokens;
  }
  return fields;
}

} // namespace

std::unique_ptr<spdlog::formatter> make_log_formatter(std::string_view format) {
  if (format == "text")
    return std::make_unique<text_formatter>();
  if (format == "json")
    return std::make_unique<json_formatter>();
  return nullptr;
}

void set_up_logging(std::string_view format, const std::string& level) {
  auto logger = spdlog::stderr_color_mt("souffleur");
  logger->set_formatter(make_log_formatter(format));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

void log_with(spdlog::level::level_enum level, std::string_view message, const json::object& fields) {
  struct beside {
    explicit beside(const json::object& fields) { fields_beside = &fields; }
    ~beside() { fields_beside = nullptr; }
    beside(const beside&) = delete;
    beside& operator=(const beside&) = delete;
  };
  const beside while_it_is_logged{fields};
  spdlog::log(level, "{}", message);
}

void log_request_end(std::string_view request, const generation_event& end) {
  json::object fields{{"request", request}};
  if (const auto* finished = std::get_if<generation_finished>(&end)) {
    for (auto& [name, value] : fields_of(*finished))
      fields[name] = std::move(value);
    log_with(spdlog::level::info, "request ended", fields);
  } else if (const auto* failed = std::get_if<generation_failed>(&end)) {
    fields["outcome"] = "error";
    fields["status"] = failed->status;
    fields["code"] = failed->code;
    log_with(spdlog::level::info, "request failed", fields);
  }
}

} // namespace souffleur
