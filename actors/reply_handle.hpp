// The one way back to a client.
#pragma once

#include "actors/messages/generation.hpp"

#include <atomic>
#include <memory>

namespace souffleur {

/// Counts requests between admission and their last event; the only admission control (mailboxes are
/// unbounded).
class admission_credits {
public:
  explicit admission_credits(int limit) : limit_(limit) {}
  /// False if the limit is reached.
  bool take() {
    if (in_flight_.fetch_add(1) < limit_)
      return true;
    in_flight_.fetch_sub(1);
    return false;
  }
  void give_back() { in_flight_.fetch_sub(1); }
  int in_flight() const { return in_flight_.load(); }

private:
  const int limit_;
  std::atomic<int> in_flight_{0};
};

/// Owns the error path of one request: whoever drops the last reference without having ended the generation
/// (an actor that died with its state or its mailbox) thereby tells the client so. Exactly one terminal event
/// is delivered.
class reply_handle {
public:
  /// Takes over one credit that the caller took.
  reply_handle(generation_sink sink, std::shared_ptr<admission_credits> credits)
      : sink_(std::move(sink)), credits_(std::move(credits)) {}
  reply_handle(const reply_handle&) = delete;
  reply_handle& operator=(const reply_handle&) = delete;
  ~reply_handle();

  void accepted(generation_accepted event) { emit(event); }
  void delta(generation_delta event) { emit(std::move(event)); }
  void finish(generation_finished event) { end(std::move(event)); }
  void fail(generation_failed event) { end(std::move(event)); }
  bool ended() const { return ended_.load(); }

private:
  void emit(generation_event&& event);
  void end(generation_event&& event);

  generation_sink sink_;
  std::shared_ptr<admission_credits> credits_;
  std::atomic<bool> ended_{false};
};

} // namespace souffleur
