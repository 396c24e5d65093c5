#include "net/commands/words.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <utility>

namespace souffleur {

std::variant<server_settings, int> settings_or_leave(int argc, const char* const* argv) {
  auto parsed = parse_command_line(argc, argv);
  if (const auto* leave = std::get_if<command_line_exit>(&parsed)) {
    std::fputs(leave->text.c_str(), leave->code == 0 ? stdout : stderr);
    return leave->code;
  }
  return std::move(std::get<server_settings>(parsed));
}

std::optional<int> parse_or_leave(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

} // namespace souffleur
