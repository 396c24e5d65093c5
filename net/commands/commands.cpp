#include "net/commands/commands.hpp"

#include "net/cache_tools.hpp"
#include "net/commands/bench.hpp"
#include "net/commands/doctor.hpp"
#include "net/commands/key.hpp"
#include "net/commands/models.hpp"
#include "net/commands/reference.hpp"
#include "net/commands/serve.hpp"
#include "net/commands/talk.hpp"
#include "net/commands/tokenize.hpp"

#include <array>
#include <cstdio>
#include <iostream>

namespace souffleur {

namespace {

int run_cache(int argc, const char* const* argv) {
  return run_cache_tools(argc, argv, std::cin, std::cout, std::cerr);
}

constexpr std::array commands{
    program_command{"serve", "serves a model; what it does without a command, too", run_serve},
    program_command{"chat", "a conversation with a server, in the terminal", run_chat},
    program_command{"complete", "goes on with a text, through a server", run_complete},
    program_command{"tokenize", "a text as the tokens of a model", run_tokenize},
    program_command{"models", "which models are here, and what they need", run_models},
    program_command{"bench", "how fast a model answers on this machine", run_bench},
    program_command{"cache", "stored answers: stats, list, forget, export, import, calibrate", run_cache},
    program_command{"key", "makes a key for a client (server.api_keys)", run_key},
    program_command{"doctor", "whether this machine and these settings will do, and what to do about it",
                    run_doctor},
    program_command{"completion", "what bash, zsh or fish need to complete these words", run_completion},
    program_command{"man", "the manual page, for man -l -", run_man},
};

void print_help(std::FILE* to) {
  std::fputs(
      "Souffleur serves language models on your own machine, over OpenAI's HTTP API and a WebSocket.\n\n"
      "souffleur COMMAND [OPTION...]\n\n",
      to);
  for (const auto& one : commands)
    std::fprintf(to, "  %-12.*s %.*s\n", static_cast<int>(one.name.size()), one.name.data(),
                 static_cast<int>(one.says.size()), one.says.data());
  std::fputs("\nFirst steps:\n"
             "  souffleur doctor                 looks at the machine\n"
             "  souffleur serve                  then http://localhost:8080 in a browser\n"
             "  souffleur chat                   or in a second terminal\n\n"
             "souffleur COMMAND --help tells of its options.\n",
             to);
}

} // namespace

std::span<const program_command> program_commands() { return commands; }

int run_command(int argc, const char* const* argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h" || first == "help") {
    print_help(stdout);
    return 0;
  }
  if (first.empty() || first.starts_with('-'))
    return run_serve(argc, argv);
  for (const auto& one : commands)
    if (one.name == first)
      return one.run(argc - 1, argv + 1);
  std::fprintf(stderr, "souffleur: there is no command \"%s\".\n\n", argv[1]);
  print_help(stderr);
  return 2;
}

} // namespace souffleur
