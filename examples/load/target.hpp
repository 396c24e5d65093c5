// A server as the load generator sees it: whatever its protocol, one question and its streamed answer.
#pragma once

#include "engine/result.hpp"
#include "examples/load/live_counts.hpp"
#include "examples/load/pacer.hpp"
#include "examples/load/request_record.hpp"
#include "examples/load/run_clock.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::load {

struct message {
  std::string role;
  std::string text;
};

struct question {
  std::vector<message> messages;
  int max_tokens = 0;
  std::uint64_t seed = 0;
  int cancel_after = 0; ///< outputs, after which the client gives up; 0: it does not
  time_point send_at;   ///< not before
};

/// What all requests have in common.
struct request_settings {
  std::string model;
  std::string api_key;
  double temperature = 0;
  bool ignore_eos = false;
  boost::json::object extra; ///< further members of each request
  std::chrono::seconds timeout{600};
};

/// Takes down an answer as it comes.
class answer_log {
public:
  answer_log(request_record& record, const run_clock& clock, live_counts& live)
      : record_(record), clock_(clock), live_(live) {}

  /// The request is about to be written.
  void sent() { record_.sent_ns = clock_.now_ns(); }
  /// Pieces that came at the same moment are one streamed output.
  void output(time_point when, std::string_view text, int n_tokens = 1);
  /// As the server counts. Negative: it does not say.
  void usage(std::int64_t n_prompt, std::int64_t n_cached, std::int64_t n_output);
  void finish(std::string_view reason) { record_.finish_reason = reason; }
  void source(std::string_view source) { record_.source = source; }
  void end(request_outcome outcome, std::string error = {});
  int n_outputs() const { return static_cast<int>(record_.output_ns.size()); }

private:
  request_record& record_;
  const run_clock& clock_;
  live_counts& live_;
};

/// For one question at a time.
class connection {
public:
  virtual ~connection() = default;
  /// Begins with sent() and ends with end(). Whatever can be done before the request's time is done before.
  /// Throws boost::system::system_error if the connection breaks.
  virtual boost::asio::awaitable<void> ask(question asked, pacer& when, answer_log& log) = 0;
  /// Whether another question can follow.
  virtual bool reusable() const = 0;
};

class target {
public:
  virtual ~target() = default;
  /// Throws boost::system::system_error.
  virtual boost::asio::awaitable<std::unique_ptr<connection>> connect() = 0;
};

/// What a URL names: ws://HOST:PORT[/v1/stream] for Souffleur's WebSocket; http://HOST:PORT[/PATH] for
/// OpenAI's server-sent events, of chats, or of plain completions if `completions`. Fails on others.
result<std::unique_ptr<target>> make_target(const std::string& url, bool completions,
                                            request_settings settings);

/// Messages as a text, for completions.
std::string transcript(const std::vector<message>& messages);
/// The members that both protocols have.
boost::json::object request_body(const question& asked, const request_settings& settings, bool completions);

std::unique_ptr<target> make_openai_target(std::string host, std::string port, std::string path,
                                           bool completions, request_settings settings);
std::unique_ptr<target> make_stream_target(std::string url, bool completions, request_settings settings);

} // namespace souffleur::load
