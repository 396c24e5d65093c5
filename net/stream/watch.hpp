// `watch`: frames at an interval that tell how the server fares, for a dashboard.
#pragma once

#include "actors/messages/generation.hpp"
#include "actors/messages/observation.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace souffleur {

inline constexpr std::size_t most_watched_steps = 128; ///< in a frame; older ones are left out
inline constexpr int most_watched_prefixes = 96;
inline constexpr std::size_t most_watched_generations = 64;

/// What a frame says beside its type, id and seq. No text, and nobody's name. `kv` may be null.
boost::json::object watched_body(const serving_snapshot& seen, const kv_summary* kv,
                                 const served_model& model);

/// A stream of `watched` frames, numbered as others are; it ends with `unwatched` when it is cancelled. A
/// frame is made when it is due and the connection has nothing else to write, so a slow reader gets fewer of
/// them.
class stream_watch {
public:
  stream_watch(std::string name, std::chrono::milliseconds interval);

  const std::string& name() const { return name_; }
  void change_interval(std::chrono::milliseconds interval);
  steady_time due() const { return due_; }
  /// After which the next frame begins.
  std::uint64_t last_step() const { return last_step_; }
  std::string frame(const serving_snapshot& seen, const kv_summary* kv, const served_model& model);
  std::string last_frame();

private:
  boost::json::object numbered(const char* type);

  std::string name_;
  std::chrono::milliseconds interval_;
  steady_time due_{}; ///< the first at once
  std::uint64_t last_step_ = 0;
  std::int64_t seq_ = 0;
};

} // namespace souffleur
