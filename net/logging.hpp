// What the server writes to standard error: lines for a person, or an object of JSON a line.
#pragma once

#include "actors/messages/generation.hpp"

#include <boost/json/object.hpp>
#include <spdlog/common.h>
#include <spdlog/formatter.h>

#include <memory>
#include <string>
#include <string_view>

namespace souffleur {

/// `format`: "text" or "json"; `level`: as spdlog names them.
void set_up_logging(std::string_view format, const std::string& level);

/// Formats records, and what log_with() says beside the message. Null: there is no such format.
std::unique_ptr<spdlog::formatter> make_log_formatter(std::string_view format);

/// A message with named values: `message name=value …`, or members of the JSON object.
void log_with(spdlog::level::level_enum level, std::string_view message, const boost::json::object& fields);

/// Notes a request's last event. Nothing of what was asked or answered, nor of who asked, is logged.
void log_request_end(std::string_view request, const generation_event& end);

} // namespace souffleur
