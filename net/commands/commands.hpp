// What the program does, by its first word.
#pragma once

#include <span>
#include <string_view>

namespace souffleur {

struct program_command {
  std::string_view name;
  std::string_view says; ///< what it does, in a few words
  /// `argv[0]` is the command's name. Returns the exit code: 0, 1 (it failed) or 2 (a wrong option).
  int (*run)(int argc, const char* const* argv);
};

std::span<const program_command> program_commands();

/// Without a command, or with an option in its place, it serves.
int run_command(int argc, const char* const* argv);

} // namespace souffleur
