// What a worker's streams have made and the router has not been sent yet.
#pragma once

#include "actors/messages/cluster.hpp"

#include <optional>
#include <vector>

namespace souffleur {

/// Joins what one stream makes until it can be sent, so that a batch has each stream once, however many steps
/// it is made of. Bounded by `max_tokens`: who has more than that has to hand a stream over.
class held_progress {
public:
  explicit held_progress(int max_tokens) : max_tokens_(max_tokens) {}

  void add(attempt_id attempt, generation_event event);
  void hand_over(attempt_id attempt);
  /// Nothing of it is sent any more.
  void drop(attempt_id attempt);
  void clear();
  /// All that is held, in the order in which it began; nothing is held then.
  step_batch take();

  bool empty() const { return streams_.empty(); }
  int n_tokens() const { return n_tokens_; }
  /// The stream to be handed over; nothing while the bound holds.
  std::optional<attempt_id> beyond_bound() const;

private:
  stream_progress& of(attempt_id attempt);

  int max_tokens_;
  int n_tokens_ = 0;
  std::vector<stream_progress> streams_;
};

} // namespace souffleur
