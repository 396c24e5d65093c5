// The frames that the server sends, as text.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/stream/command.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

/// What an accepted frame says besides, unless it is empty.
struct accepted_extras {
  std::string model_name;
  std::string resume_token;
  std::string request_name{};
};

/// One of a stream's numbered frames.
struct frame_number {
  std::string_view stream;
  std::int64_t seq = 0;
};

std::string accepted_frame(frame_number number, const generation_accepted& accepted,
                           const accepted_extras& extras);
std::string delta_frame(frame_number number, const generation_delta& delta);
std::string done_frame(frame_number number, const generation_finished& end, bool appendable);
std::string failure_frame(frame_number number, const generation_failed& failed);

/// {"type": "error", "id": …, "error": {…}}, outside of any stream's numbering.
std::string refusal_frame(const refused_command& refused);
std::string pong_frame(const std::optional<std::string>& data);
std::string resumed_frame(std::string_view stream, std::int64_t after, bool running,
                          std::optional<std::int64_t> credit);

} // namespace souffleur
