// From generation events to OpenAI's response objects and stream chunks.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/call_answer.hpp"
#include "net/openai_request.hpp"
#include "net/tool_call_reader.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace souffleur {

/// {"error": {"message", "type", "param", "code"}}.
boost::json::object error_body(const generation_failed& error);

/// The same without the outer object, as it stands in a WebSocket message.
boost::json::object error_object(const generation_failed& error);

/// usage as OpenAI has it, with prompt_tokens_details.cached_tokens.
boost::json::object usage_object(const generation_usage& usage);

/// Where the time went; milliseconds.
boost::json::object timings_object(const generation_usage& usage);

/// Speculation's share: drafted, accepted, steps.
boost::json::object speculation_object(const generation_usage& usage);

/// What was found in the caches.
boost::json::object cache_object(const generation_usage& usage);

/// To microseconds, as times are shown.
double rounded_ms(double ms);

/// JSON has no -infinity; OpenAI writes -9999 for impossible tokens.
double json_logprob(float logprob);

/// What a response says about itself.
struct response_identity {
  std::string id; ///< chatcmpl-… or cmpl-…
  std::string model;
  std::string fingerprint;
  std::int64_t created_s = 0;
};

/// A token's own bytes, also for tokens that were only candidates.
using token_bytes = std::function<std::string(token_id)>;

/// Of the endpoints for chats and texts. Plain state, no I/O.
///
/// A choice whose time ran out has what was made, OpenAI's finish_reason "length" (it knows no other word for
/// a part of an answer) and "deadline" in `souffleur`. If no choice has anything, the call has failed: 408
/// where it brought its own timeout, else 504.
class openai_response final : public call_answer {
public:
  openai_response(const openai_call& call, response_identity identity, token_bytes bytes_of);

  /// After the last choice has ended this includes the usage chunk, if asked for, and [DONE].
  std::string stream(int choice, const generation_event& event) override;
  void collect(int choice, const generation_event& event) override;
  boost::json::object body() const override;
  bool ended() const override { return n_open_ == 0; }
  const std::optional<generation_failed>& failure() const override { return failure_; }

  /// Of all choices that have ended.
  const generation_usage& usage() const { return usage_; }
  /// `souffleur` of an answer.
  boost::json::object own_object() const;

private:
  struct choice_state {
    std::string text;
    std::vector<generated_token> tokens;
    finish_reason reason = finish_reason::stop;
    std::string echo;
    std::uint64_t seed = 0;
    std::size_t text_offset = 0; ///< of the next token, in characters
    tool_call_reader calls;      ///< of a call with tools
    int n_calls_shown = 0;
  };

  boost::json::object envelope(std::string_view object) const;
  boost::json::object chunk(boost::json::array choices) const;
  std::string stream_delta(int choice, const generation_delta& delta);
  std::string stream_end(int choice, const generation_finished& end);
  /// One tool call as OpenAI has it. `index`: of those of the choice.
  boost::json::object call_object(int choice, int index, const tool_call& call) const;
  /// Those that may be shown: one, where they are not parallel.
  boost::json::array call_objects(int choice, int n_shown, const std::vector<tool_call>& calls) const;
  std::string stream_piece(int choice, const tool_call_reader::piece& piece, boost::json::value logprobs);
  boost::json::object message_of(int choice) const;
  std::string closing_events() const;
  void note_end(int choice, const generation_event& event);
  bool nothing_was_made_in_time() const { return n_empty_ == choices_.size(); }
  boost::json::value chat_logprobs(const std::vector<generated_token>& tokens) const;
  /// `text_offset` is where the tokens begin, in characters; moved behind them.
  boost::json::value legacy_logprobs(std::size_t& text_offset,
                                     const std::vector<generated_token>& tokens) const;
  boost::json::value logprobs(std::size_t& text_offset, const std::vector<generated_token>& tokens) const;

  bool chat_;
  bool include_usage_;
  bool has_own_timeout_;
  bool wants_logprobs_;
  bool has_tools_;
  bool parallel_tool_calls_;
  int n_per_prompt_;
  response_identity identity_;
  token_bytes bytes_of_;
  std::vector<choice_state> choices_;
  int n_open_;
  std::size_t n_empty_ = 0; ///< choices whose time ran out before their first token
  generation_usage usage_;
  std::optional<generation_failed> failure_;
};

} // namespace souffleur
