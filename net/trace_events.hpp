// A request's life as Chrome's trace events, which Perfetto (ui.perfetto.dev) and chrome://tracing show.
#pragma once

#include "actors/messages/observation.hpp"
#include "net/write_log.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace souffleur {

/// What a request is called to its client and in the log: unique over restarts. `server_began_s`: Unix time.
std::string request_name(request_id id, std::int64_t server_began_s);
/// Of such a name, whatever stands before it (chatcmpl-, cmpl-), or of a reply's X-Request-Id (req-N).
/// Nothing: it is none of this server's.
std::optional<request_id> request_named(std::string_view name, std::int64_t server_began_s);

/// Times in microseconds since the request came, which was at `came_unix_us`. Three tracks: its phases, the
/// steps that had rows of it, and what was written to its socket. No text, and no other request.
boost::json::object trace_events(const request_trace& trace, std::span<const written_part> written,
                                 std::string_view name, std::int64_t came_unix_us);

} // namespace souffleur
