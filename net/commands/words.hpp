// How the commands read their words, and leave with --help or a wrong option.
#pragma once

#include "net/command_line.hpp"

#include <optional>
#include <variant>

namespace CLI {
class App;
}

namespace souffleur {

/// The server's settings; else the exit code, once --help or what is wrong has been printed.
std::variant<server_settings, int> settings_or_leave(int argc, const char* const* argv);

/// Nothing if `app` understood the words; else the exit code, likewise.
std::optional<int> parse_or_leave(CLI::App& app, int argc, const char* const* argv);

} // namespace souffleur
