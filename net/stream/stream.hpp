// One stream: a conversation under one id, turn after turn, on whatever connection its client has.
#pragma once

#include "net/stream/conversation.hpp"
#include "net/stream/outbox.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace souffleur {

class stream;

/// The connection that sends a stream's frames.
class stream_holder {
public:
  /// Its client has resumed the stream elsewhere.
  virtual void lose(const stream& gone) = 0;

protected:
  ~stream_holder() = default;
};

/// It runs from begin_turn() until next() has handed out the last frame of the turn, and may then begin
/// another one. A turn that fails leaves the conversation as it was.
class stream {
public:
  stream(std::string id, std::string tenant, stream_outbox outbox, std::size_t max_conversation_bytes);

  const std::string& id() const { return id_; }
  const std::string& tenant() const { return tenant_; }
  const std::string& resume_token() const { return resume_token_; }
  bool is_resumable() const { return !resume_token_.empty(); }
  void set_resume_token(const std::string& token);

  /// `then`: what the conversation is when the turn is done, without its answer; nothing: it will not be
  /// kept. REQUIRES: it does not run.
  void begin_turn(request_id request, std::optional<conversation> then);
  bool runs() const { return runs_; }
  /// Of the turn under way.
  request_id request() const { return request_; }
  /// Events of another generation are ignored.
  void deliver(request_id from, generation_event event);
  std::optional<std::string> next(stream_time now);
  stream_outbox& outbox() { return outbox_; }
  const stream_outbox& outbox() const { return outbox_; }

  /// Null: there is nothing to be continued.
  const conversation* said() const { return said_ ? &*said_ : nullptr; }
  stream_time ended_at() const { return ended_at_; }
  /// Of the conversation, and of frames for a client that comes back.
  std::size_t n_kept_bytes() const { return outbox_.n_kept_bytes() + (said_ ? said_->n_bytes() : 0); }

  stream_holder* holder = nullptr; ///< null: it waits for its client
  std::function<void()> on_news;   ///< there may be more to send; may be empty

private:
  void settle(stream_time now);

  std::string id_;
  std::string tenant_;
  std::string resume_token_;
  std::size_t max_conversation_bytes_;
  stream_outbox outbox_;
  request_id request_ = 0;
  bool runs_ = false;
  bool failed_ = false;
  std::optional<conversation> said_;
  std::optional<conversation> then_;
  stream_time ended_at_{};
};

} // namespace souffleur
