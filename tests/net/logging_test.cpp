// Log lines, as text and as JSON.
#include "net/logging.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

namespace souffleur {
namespace {

namespace json = boost::json;

/// The default logger writes to `text` while it lives.
struct captured_log {
  explicit captured_log(const std::string& format) : before(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("captured", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
    logger->set_formatter(make_log_formatter(format));
    spdlog::set_default_logger(logger);
  }
  ~captured_log() { spdlog::set_default_logger(before); }
  std::string text() const { return out.str(); }

  std::ostringstream out;
  std::shared_ptr<spdlog::logger> before;
};

generation_finished an_end() {
  generation_finished end;
  end.stop_string = "SECRET";
  end.usage.n_prompt_tokens = 3;
  end.usage.n_output_tokens = 2;
  end.usage.decode_ms = 12.5;
  return end;
}

TEST(Logging, knowsTwoFormats) {
  EXPECT_TRUE(make_log_formatter("text"));
  EXPECT_TRUE(make_log_formatter("json"));
  EXPECT_FALSE(make_log_formatter("xml"));
}

TEST(Logging, aRequestsEndIsALineWithItsName) {
  captured_log log{"text"};
  log_request_end("7-3", an_end());
  EXPECT_NE(log.text().find("request ended request=\"7-3\" outcome=\"stop\" prompt_tokens=3"),
            std::string::npos)
      << log.text();
  EXPECT_EQ(log.text().find("SECRET"), std::string::npos);
}

TEST(Logging, asJsonItsValuesAreMembers) {
  captured_log log{"json"};
  log_request_end("7-3", an_end());
  const auto line = json::parse(log.text()).as_object();
  EXPECT_EQ(line.at("level").as_string(), "info");
  EXPECT_EQ(line.at("request").as_string(), "7-3");
  EXPECT_EQ(line.at("output_tokens").to_number<int>(), 2);
  EXPECT_EQ(line.at("decode_ms").to_number<double>(), 12.5);
}

TEST(Logging, aFailureIsLoggedWithoutItsMessageWhichMayQuoteTheRequest) {
  captured_log log{"json"};
  log_request_end("7-3", generation_failed{400, "invalid_value", "SECRET is no model", "model", 0});
  const auto line = json::parse(log.text()).as_object();
  EXPECT_EQ(line.at("status").to_number<int>(), 400);
  EXPECT_EQ(line.at("code").as_string(), "invalid_value");
  EXPECT_EQ(log.text().find("SECRET"), std::string::npos);
}

TEST(Logging, whatIsNoEndIsNotLogged) {
  captured_log log{"text"};
  log_request_end("7-3", generation_accepted{});
  log_request_end("7-3", generation_delta{});
  EXPECT_EQ(log.text(), "");
}

RC_GTEST_PROP(Logging, everyMessageIsOneLineOfJson, (const std::string& message)) {
  captured_log log{"json"};
  spdlog::info("{}", message);
  const auto text = log.text();
  RC_ASSERT(std::count(text.begin(), text.end(), '\n') == 1);
  RC_ASSERT(json::parse(text).as_object().contains("message"));
}

} // namespace
} // namespace souffleur
