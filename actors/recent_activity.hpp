// The last steps and the last requests that ended, for who looks on.
#pragma once

#include "actors/messages/observation.hpp"

#include <array>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace souffleur {

/// Bounded: the oldest go first. Thread-safe.
class recent_activity {
public:
  static constexpr std::size_t most_steps = 2048;
  static constexpr std::size_t most_requests = 512;

  void note(const step_report& report);
  void note(const request_report& report);

  std::uint64_t n_steps() const;
  std::uint64_t n_requests() const;
  /// The newest of those after `number`, at most `most`, in their order.
  std::vector<numbered_step> steps_after(std::uint64_t number, std::size_t most) const;
  /// By what they drafted, since the beginning.
  std::vector<drafter_totals> drafters() const;
  /// Nothing: it has not ended, or is forgotten, or another tenant's.
  std::optional<request_trace> trace(request_id id, const std::string& tenant) const;

private:
  mutable std::mutex mutex_;
  std::deque<numbered_step> steps_;
  std::deque<request_report> requests_;
  std::uint64_t n_steps_ = 0;
  std::uint64_t n_requests_ = 0;
  std::array<drafter_totals, n_token_origins> drafters_{};
};

} // namespace souffleur
