// The newest frames of a stream, for a client that may not have got them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace souffleur {

/// Holds frames with consecutive numbers, the oldest of which go when they have more than `max_bytes`
/// together. It can be wound back, and then gives them once more.
class sent_frames {
public:
  explicit sent_frames(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// The number of the next frame; they begin with 0.
  std::int64_t n_sent() const { return first_ + static_cast<std::int64_t>(frames_.size()); }
  std::size_t n_bytes() const { return n_bytes_; }
  bool replays() const { return next_ < n_sent(); }
  /// The oldest that is there; n_sent() if none is.
  std::int64_t oldest() const { return first_; }

  /// REQUIRES: nothing is to be replayed.
  void add(std::string frame) {
    n_bytes_ += frame.size();
    frames_.push_back(std::move(frame));
    while (n_bytes_ > max_bytes_) {
      n_bytes_ -= frames_.front().size();
      frames_.pop_front();
      ++first_;
    }
    next_ = n_sent();
  }

  /// The frames from number `next` on come again. False if some of them are gone, or are not yet.
  bool wind_back_to(std::int64_t next) {
    if (next < first_ || next > n_sent())
      return false;
    next_ = next;
    return true;
  }

  std::optional<std::string> replay() {
    if (!replays())
      return std::nullopt;
    return frames_[static_cast<std::size_t>(next_++ - first_)];
  }

private:
  std::size_t max_bytes_;
  std::size_t n_bytes_ = 0;
  std::int64_t first_ = 0; ///< number of frames_.front()
  std::int64_t next_ = 0;  ///< to be replayed
  std::deque<std::string> frames_;
};

} // namespace souffleur
