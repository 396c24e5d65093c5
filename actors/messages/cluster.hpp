// The conversation between a router and its workers, which are other processes, on other machines perhaps.
#pragma once

#include "actors/messages/generation.hpp"
#include "policies/eviction_policy.hpp"
#include "policies/window_policy.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace souffleur {

/// Both sides have to have the same; raised when a message changes.
inline constexpr int cluster_protocol = 2;

/// Names one attempt at a stream, on one worker: what comes late of an earlier attempt is nobody's.
using attempt_id = std::uint64_t;

// ---- From who connects to a router until it is one of its workers.

/// The worker's first word. Nonces are 32 random bytes.
struct worker_hello {
  int protocol = cluster_protocol;
  std::string nonce;
};
/// The router knows the secret: `proof` is over both nonces, and the name of the side that made it.
struct router_challenge {
  std::string nonce;
  std::string proof;
};
/// What has to be the same on all workers, so that a stream can go on at any of them.
struct worker_profile {
  std::string model_name;
  std::string computes; ///< fingerprint of the weights, with the kernels that compute with them
  std::string fingerprint;
  int n_kv_tokens = 0; ///< positions in its pool
  int max_running = 0;
  std::string address;         ///< for people
  std::string serves = "both"; ///< as in cluster_config
};
struct worker_proof {
  std::string proof;
  worker_profile profile;
};
/// Empty `why`: the worker is taken, and may have so many batches unanswered.
struct registration {
  std::string why;
  int n_credits = 0;
};

// ---- From the router to a worker.

/// A request that passed every check of the router's, with what the client has got of it already.
struct stream_order {
  attempt_id attempt = 0;
  std::string tenant;
  std::vector<token_id> prompt;
  std::vector<token_id> delivered; ///< of the answer; it goes on with the token after these
  sampling_params sampling;
  speculation_options speculation; ///< with the acceptance policy that is in force
  bool is_lossy = false;
  std::vector<token_id> prediction;
  std::optional<grammar::output_grammar> output;
  bool thinks = false;
  std::string window_policy = "full";
  window_limits window;
  retention_wish retention;
  int priority = 0;
  int most_tokens = 0;
  std::int64_t time_left_ms = 0;
};
struct stream_cancel {
  attempt_id attempt = 0;
};
struct stream_change {
  attempt_id attempt = 0;
  generation_change change;
};
/// The stream may take so long from now on.
struct stream_postponement {
  attempt_id attempt = 0;
  std::int64_t time_left_ms = 0;
};
/// So many more batches may be sent.
struct batch_credit {
  int n = 0;
};
/// The router that gave the orders so far is gone, or knows nothing of them any more: they end.
struct orders_void {};

// ---- A prompt that one worker computes for another, to which its pages go, through the router. The one that
// ---- gives the order says what it needs; then it waits for no more than it gets.

/// From the router to a worker that serves prefill. A stream_cancel ends it.
struct prefill_order {
  attempt_id attempt = 0; ///< that of the stream
  std::string tenant;
  std::vector<token_id> prompt;
  int first_page = 0; ///< that is to be shipped
  int priority = 0;
  std::int64_t time_left_ms = 0;
};
/// From that worker to the router, and on to the one where the stream will be. They come in the prompt's
/// order if all goes well.
struct shipped_page {
  attempt_id attempt = 0;
  std::string format; ///< name of the page format, 16 bytes
  std::string name;   ///< of the page, 16 bytes
  std::uint64_t checksum = 0;
  std::string bytes;
};
/// The way back. With a reason no more pages are wanted.
struct page_receipt {
  attempt_id attempt = 0;
  int n_pages = 0;
  std::string why;
};
/// From the worker that computes to the router, behind the last page. Empty `why`: there is nothing more to
/// ship.
struct prefill_ended {
  attempt_id attempt = 0;
  std::string why;
};

using router_message = std::variant<stream_order, stream_cancel, stream_change, stream_postponement,
                                    batch_credit, orders_void, prefill_order, shipped_page, page_receipt>;

// ---- From a worker to the router.

/// What a step, or several, made of one stream. `end` comes after the tokens.
struct stream_progress {
  attempt_id attempt = 0;
  generation_delta delta; ///< tokens without their bytes, which the vocabulary has; `step` adds up the steps
  int n_steps = 0;        ///< that `delta` is made of
  /// The worker will not go on with it, and nothing is wrong with the request: somebody else should.
  bool is_handed_over = false;
  std::optional<generation_finished> finished;
  std::optional<generation_failed> failed;
};

/// All that has happened since the batch before it.
struct step_batch {
  std::vector<stream_progress> streams;
};

/// Regularly; a worker that is silent for long is taken for dead.
struct worker_status {
  int n_running = 0; ///< streams, its own clients' included
  bool is_draining = false;
  /// Of the pages of its prefix tree, what has changed; what one status has no room for is in the next one.
  std::vector<page_hash> added;
  std::vector<page_hash> removed;
};
/// Pages of which a worker_status tells, at most.
inline constexpr std::size_t max_told_pages = 4096;

using worker_message = std::variant<step_batch, worker_status, shipped_page, page_receipt, prefill_ended>;

} // namespace souffleur
