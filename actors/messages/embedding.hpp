// The conversation with the embedder: some texts to their vectors.
#pragma once

#include "actors/messages/generation.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace souffleur {

struct embedding_request {
  std::string tenant;
  std::vector<std::string> texts;
  std::chrono::milliseconds timeout{0}; ///< from arrival to the answer; 0: the configuration's
  /// Who waits for the answer. Once it is gone, nothing more is computed for it.
  std::weak_ptr<const void> client;
};

struct embedded_text {
  std::vector<float> vector; ///< (n_dimensions,), of length 1
  int n_ids = 0;             ///< that were read
  bool is_truncated = false; ///< the text has more
};

/// In the order of the texts.
using embeddings = std::vector<embedded_text>;

using embedding_event = std::variant<embeddings, generation_failed>;

/// Called once, on an actor's thread or at once. Must not block: post and return.
using embedding_sink = std::function<void(embedding_event)>;

struct served_embedder {
  std::string name;
  std::string fingerprint;
  int n_dimensions = 0;
  int max_ids = 0; ///< of a text; the rest is left out
};

/// The embedder as seen from outside: plain C++, callable from any thread.
class embedding_service {
public:
  virtual ~embedding_service() = default;
  /// Null: there is none, and every request fails.
  virtual const served_embedder* embedder() const = 0;
  virtual void embed(embedding_request request, embedding_sink sink) = 0;
};

class embedding_reply;

/// A request on its way to the embedder.
struct embedding_demand {
  std::vector<std::string> texts;
  std::chrono::steady_clock::time_point deadline; ///< what is not embedded then, never will be
  std::weak_ptr<const void> client;               ///< as in the request
  std::shared_ptr<embedding_reply> reply;
};
using embedding_demand_ptr = std::shared_ptr<const embedding_demand>;

/// What one round of the embedder did.
struct embedding_report {
  int n_texts = 0;
  int n_ids = 0;
  double us = 0;
};

} // namespace souffleur
