// What one stream has still to send.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/stream/command.hpp"
#include "net/stream/frame_text.hpp"
#include "net/stream/limits.hpp"
#include "net/stream/sent_frames.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace souffleur {

struct outbox_options {
  std::optional<std::int64_t> credit; ///< none: no flow control
  std::chrono::milliseconds batch{0}; ///< least time between two deltas
  std::size_t max_replay_bytes = 0;   ///< of frames that can be sent again
  bool collects_answer = false;
};

/// Invariants: frames carry seq 0, 1, 2, … without a gap: in each turn accepted, deltas, then exactly one of
/// done and error. Under flow control, no more tokens are sent than were granted; a delta is split where the
/// credit ends. Deltas that wait are joined. Neither the concatenated text nor the tokens depend on credits,
/// on batches or on when next() is called.
class stream_outbox {
public:
  stream_outbox(std::string stream, std::string model_name, const outbox_options& options);

  /// Empty: the stream is not resumable.
  void set_resume_token(std::string token) { extras_.resume_token = std::move(token); }

  /// What the accepted frame of the turn calls the request; empty: nothing.
  void set_request_name(std::string name) { extras_.request_name = std::move(name); }

  void push(generation_event event);
  /// Turns flow control on if it was off.
  void grant(std::int64_t n_tokens);
  /// Forgets what is held back, and what still comes: nobody waits for it any more. The end is sent, whatever
  /// the credit.
  void abandon();
  /// After the last frame of a turn: another one begins.
  void begin_turn(const turn_wishes& wishes);
  /// Only while a done frame is still to be made: what it says.
  void set_appendable(bool appendable) { appendable_ = appendable; }

  /// The next frame that may be sent now.
  std::optional<std::string> next(stream_time now);
  /// When next() will give what only waits for its batch.
  std::optional<stream_time> due() const;
  /// The last frame of the turn was made.
  bool turn_is_over() const { return finished_; }
  /// It was handed out, and so was all that is to be sent again.
  bool finished() const { return finished_ && !sent_.replays(); }
  /// Tokens waiting for credit or for the connection.
  std::size_t n_held_tokens() const { return n_held_tokens_; }
  /// Of these, what waits for the connection.
  std::size_t n_sendable_tokens() const;
  std::optional<std::int64_t> credit() const { return credit_; }

  enum class rewound : std::uint8_t { yes, gone, not_sent };
  /// Frames behind number `after` are sent again, before what is new.
  rewound rewind(std::int64_t after);
  std::int64_t n_sent() const { return seq_; }
  std::int64_t oldest_kept() const { return sent_.oldest(); }
  std::size_t n_kept_bytes() const { return sent_.n_bytes(); }

  /// Text of the turn's deltas so far, if it is collected.
  std::string take_answer() { return std::exchange(answer_, {}); }

private:
  /// More tokens would make a frame that a client waits for too long.
  static constexpr std::size_t max_joined_tokens = 256;

  bool joins(const generation_delta& delta);
  bool waits_for_batch(const generation_delta& front) const;
  std::string frame(const generation_event& event);
  /// The front delta's first tokens, as many as the credit allows; nothing if there is no credit.
  std::optional<generation_delta> affordable(generation_delta& front);
  std::string sent(std::string frame);

  std::string stream_;
  accepted_extras extras_;
  std::optional<std::int64_t> credit_;
  std::chrono::milliseconds batch_;
  bool collects_answer_;
  bool is_kept_;
  std::deque<generation_event> events_;
  std::size_t n_held_tokens_ = 0;
  std::int64_t seq_ = 0;
  std::optional<stream_time> last_delta_at_;
  sent_frames sent_;
  std::string answer_;
  bool appendable_ = false;
  bool abandoned_ = false;
  bool finished_ = false;
};

} // namespace souffleur
