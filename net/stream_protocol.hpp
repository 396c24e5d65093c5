// The WebSocket conversation `souffleur.v1`: several generations on one connection, as JSON text frames.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/openai_request.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace souffleur {

constexpr std::string_view stream_subprotocol = "souffleur.v1";
constexpr int max_stream_id_bytes = 128;

struct generate_command {
  std::string stream;
  generation_request request;
  std::optional<std::int64_t> credit; ///< tokens that may be sent at first; none: no flow control
};
struct credit_command {
  std::string stream;
  std::int64_t n_tokens = 0;
};
struct cancel_command {
  std::string stream;
};
using stream_command = std::variant<generate_command, credit_command, cancel_command>;

/// A frame that cannot be obeyed. `stream` is empty if the frame does not say which one it meant.
struct refused_command {
  std::string stream;
  generation_failed error;
};

std::variant<stream_command, refused_command> parse_stream_command(std::string_view frame,
                                                                   std::string_view model_name);

/// {"type": "error", "id": …, "error": {…}}, outside of any stream's numbering.
std::string refusal_frame(const refused_command& refused);

/// What one stream has still to send.
///
/// Invariants: frames carry seq 0, 1, 2, … without a gap: accepted, deltas, then exactly one of done and
/// error. Under flow control, no more tokens are sent than were granted; a delta is split where the credit
/// ends. Neither the concatenated text nor the tokens depend on the credits.
class stream_outbox {
public:
  /// `model_name` goes into the accepted frame. No credit: unlimited.
  stream_outbox(std::string stream, std::string model_name, std::optional<std::int64_t> credit);

  void push(generation_event event);
  /// Turns flow control on if it was off.
  void grant(std::int64_t n_tokens);
  /// Forgets what is held back, and what still comes: nobody waits for it any more. The end is sent, whatever
  /// the credit.
  void abandon();
  /// The next frame that may be sent now.
  std::optional<std::string> next();
  /// The last frame was handed out.
  bool finished() const { return finished_; }
  /// Tokens waiting for credit or for the connection.
  std::size_t n_held_tokens() const { return n_held_tokens_; }

private:
  std::string frame(const generation_event& event);
  /// The front delta's first tokens, as many as the credit allows; nothing if there is no credit.
  std::optional<generation_delta> affordable(generation_delta& front);

  std::string stream_;
  std::string model_name_;
  std::optional<std::int64_t> credit_;
  std::deque<generation_event> events_;
  std::size_t n_held_tokens_ = 0;
  std::int64_t seq_ = 0;
  bool abandoned_ = false;
  bool finished_ = false;
};

} // namespace souffleur
