// Every frame of the conversation `souffleur.v1` and what stands in it. From this table come the checks of
// what clients send and the schema that they can read.
#pragma once

#include "net/json_fields.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace souffleur {

constexpr std::string_view stream_subprotocol = "souffleur.v1";
constexpr std::int64_t max_stream_id_characters = 128;
constexpr std::int64_t max_stream_credit = std::int64_t{1} << 40;
constexpr std::int64_t max_batch_ms = 10'000;
constexpr std::int64_t min_watch_ms = 100;
constexpr std::int64_t max_watch_ms = 60'000;
constexpr std::int64_t default_watch_ms = 1000;

enum class field_kind : std::uint8_t { text, integer, boolean, other };

struct frame_field {
  std::string_view name;
  field_kind kind = field_kind::other;
  std::string_view meaning;
  bool required = false;
  std::int64_t least = 0; ///< of an integer; of a text: characters
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::string_view schema{}; ///< of another kind: JSON Schema, as text
};

struct frame_form {
  std::string_view type;
  std::string_view meaning;
  std::span<const frame_field> fields; ///< besides `type`
};

std::span<const frame_form> client_frames();
std::span<const frame_form> server_frames();

/// Null: there is no such frame.
const frame_form* client_frame(std::string_view type);

/// Whether a stream may be called so.
bool is_stream_id(std::string_view text);

/// Complains of the first field that is not as its form says; fields of kind `other` are only asked for.
void check_frame(json_fields& fields, const frame_form& form);

/// JSON Schema (2020-12): a frame of the server is valid by itself, one of a client by #/$defs/client.
boost::json::object stream_schema();

} // namespace souffleur
