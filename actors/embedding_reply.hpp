// The one way back to whoever asked for embeddings.
#pragma once

#include "actors/messages/embedding.hpp"
#include "actors/reply_handle.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace souffleur {

/// Owns the error path of one request, as reply_handle does of a generation: whoever drops the last reference
/// without having answered (an actor that died with its state or its mailbox) thereby tells the client so.
/// Exactly one event is delivered.
class embedding_reply {
public:
  /// Takes over the `n_credits` credits that the caller took for `tenant`, one a text. Null credits: none
  /// were taken (an actor asks, whose own demands are bounded).
  embedding_reply(embedding_sink sink, std::shared_ptr<admission_credits> credits, std::string tenant,
                  int n_credits)
      : sink_(std::move(sink)), credits_(std::move(credits)), tenant_(std::move(tenant)),
        n_credits_(n_credits) {}
  embedding_reply(const embedding_reply&) = delete;
  embedding_reply& operator=(const embedding_reply&) = delete;
  ~embedding_reply();

  void finish(embeddings answer) { end(std::move(answer)); }
  void fail(generation_failed why) { end(std::move(why)); }

private:
  void end(embedding_event&& event);

  embedding_sink sink_;
  std::shared_ptr<admission_credits> credits_;
  const std::string tenant_;
  const int n_credits_;
  std::atomic<bool> ended_{false};
};

} // namespace souffleur
