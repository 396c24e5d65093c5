// Streams whose clients may come back, wherever they are.
#pragma once

#include "net/stream/stream.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// A stream is found by its token as long as a connection has it, and for `keep` after it was parked. What
/// had to go comes back from park() and expire(): its generation is to be cancelled.
class resumable_streams {
public:
  using stream_ptr = std::shared_ptr<stream>;

  resumable_streams(std::chrono::seconds keep, int max_parked) : keep_(keep), max_parked_(max_parked) {}

  /// Gives it a token of 128 random bits.
  void add(const stream_ptr& added);
  void forget(const stream& gone);
  /// Null: there is none, or it is another tenant's, or another stream's.
  stream_ptr find(const std::string& token, const std::string& stream_id, const std::string& tenant) const;

  /// No connection has it. The one that waits longest goes if there are too many.
  std::vector<stream_ptr> park(const stream_ptr& left, stream_time now);
  void unpark(const stream& back);
  std::vector<stream_ptr> expire(stream_time now);
  std::vector<stream_ptr> expire_all();
  /// When expire() is due; nothing: none is parked.
  std::optional<stream_time> due() const;
  std::size_t n_parked() const { return n_parked_; }

private:
  struct entry {
    std::weak_ptr<stream> where;
    stream_ptr parked; ///< null: a connection has it
    stream_time until{};
  };

  stream_ptr take(std::unordered_map<std::string, entry>::iterator at);

  std::chrono::seconds keep_;
  int max_parked_;
  std::size_t n_parked_ = 0;
  std::unordered_map<std::string, entry> entries_; ///< by token
};

} // namespace souffleur
