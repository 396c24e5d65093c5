// An embedding_service that a test plays by hand: it keeps the last request and its sink.
#pragma once

#include "actors/messages/embedding.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace souffleur::testing {

/// Thread-safe.
class fake_embeddings final : public embedding_service {
public:
  const served_embedder* embedder() const override { return &embedder_; }
  void embed(embedding_request request, embedding_sink sink) override {
    const std::lock_guard lock{mutex_};
    asked_.emplace(std::move(request), std::move(sink));
    changed_.notify_all();
  }

  /// Waits for the next request; nothing if none comes within 10 s.
  std::optional<std::pair<embedding_request, embedding_sink>> wait_for_request() {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, std::chrono::seconds{10}, [&] { return asked_.has_value(); });
    return std::exchange(asked_, std::nullopt);
  }

private:
  served_embedder embedder_{"small", "abc", 2, 256};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::pair<embedding_request, embedding_sink>> asked_;
};

} // namespace souffleur::testing
