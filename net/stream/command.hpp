// What a client's frame asks for.
#pragma once

#include "actors/messages/generation.hpp"

#include <boost/json/value.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace souffleur {

/// What a turn of a stream wants of the connection.
struct turn_wishes {
  std::optional<std::int64_t> credit; ///< tokens; none: no flow control, or as it is
  std::optional<std::chrono::milliseconds> batch;
};

struct generate_command {
  std::string stream;
  generation_request request;
  boost::json::value frame; ///< as it came; an object
  turn_wishes wishes;
  bool resumable = false;
  bool keep = true;
};
struct append_command {
  std::string stream;
  boost::json::value frame; ///< as it came; an object whose `messages` or `prompt` are new
  turn_wishes wishes;
};
struct credit_command {
  std::string stream;
  std::int64_t n_tokens = 0;
};
struct cancel_command {
  std::string stream;
};
struct update_command {
  std::string stream;
  generation_change change;
};
struct resume_command {
  std::string stream;
  std::string token;
  std::int64_t after = -1;
};
/// Frames about the server at an interval, see stream_watch.
struct watch_command {
  std::string stream;
  std::chrono::milliseconds interval{1000};
};
struct ping_command {
  std::optional<std::string> data;
};
using stream_command = std::variant<generate_command, append_command, credit_command, cancel_command,
                                    update_command, resume_command, watch_command, ping_command>;

/// A frame that cannot be obeyed. `stream` is empty if the frame does not say which one it meant.
struct refused_command {
  std::string stream;
  generation_failed error;
};

using parsed_command = std::variant<stream_command, refused_command>;

/// Unknown fields are ignored.
parsed_command parse_stream_command(std::string_view frame, std::string_view model_name);

/// The generation that an object with `messages` or `prompt` describes.
std::variant<generation_request, generation_failed> read_generation(const boost::json::value& frame,
                                                                    std::string_view model_name);

} // namespace souffleur
