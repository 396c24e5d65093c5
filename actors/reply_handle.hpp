// The one way back to a client.
#pragma once

#include "actors/messages/generation.hpp"

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace souffleur {

enum class admission : std::uint8_t { granted, queue_full, tenant_queue_full };

/// Counts requests, or texts to be embedded, between admission and their last event, over all and by tenant;
/// the only admission control (mailboxes are unbounded). Thread-safe.
class admission_credits {
public:
  explicit admission_credits(int limit, int limit_per_tenant = std::numeric_limits<int>::max())
      : limit_(limit), limit_per_tenant_(limit_per_tenant) {}
  /// Takes `n` credits if they can be granted.
  admission take(const std::string& tenant, int n = 1);
  /// REQUIRES: the tenant has taken as many.
  void give_back(const std::string& tenant, int n = 1);
  int in_flight() const;

private:
  const int limit_;
  const int limit_per_tenant_;
  mutable std::mutex mutex_;
  int in_flight_ = 0;
  std::unordered_map<std::string, int> of_tenant_; ///< none is 0
};

/// Owns the error path of one request: whoever drops the last reference without having ended the generation
/// (an actor that died with its state or its mailbox) thereby tells the client so. Exactly one terminal event
/// is delivered.
class reply_handle {
public:
  /// Takes over one credit that the caller took for `tenant`. Null credits: none was taken.
  reply_handle(generation_sink sink, std::shared_ptr<admission_credits> credits, std::string tenant)
      : sink_(std::move(sink)), credits_(std::move(credits)), tenant_(std::move(tenant)) {}
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
  const std::string tenant_;
  std::atomic<bool> ended_{false};
};

} // namespace souffleur
