#include "net/commands/reference.hpp"

#include "net/command_line.hpp"
#include "net/commands/commands.hpp"

#include <algorithm>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace souffleur {

namespace {

/// "--model.path,--model" as its names.
std::vector<std::string> names_of(const described_option& option) {
  std::vector<std::string> names;
  std::istringstream all{option.names};
  for (std::string one; std::getline(all, one, ',');)
    names.push_back(one);
  return names;
}

std::string command_words() {
  std::string words;
  for (const auto& one : program_commands())
    (words += words.empty() ? "" : " ") += one.name;
  return words;
}

std::string option_words() {
  std::string words;
  for (const auto& option : described_options())
    for (const auto& name : names_of(option))
      words += (words.empty() ? "" : " ") + name;
  return words;
}

void complete_bash(std::ostream& out) {
  out << "_souffleur() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ] && [[ $word != -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \""
      << command_words()
      << "\" -- \"$word\"))\n"
         "  elif [[ $command == -* || $command == serve || $command == doctor || $command == bench ]] && [[ "
         "$word == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \""
      << option_words()
      << "\" -- \"$word\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "  fi\n"
         "}\n"
         "complete -F _souffleur souffleur\n";
}

void complete_zsh(std::ostream& out) {
  out << "#compdef souffleur\nautoload -U +X bashcompinit && bashcompinit\n";
  complete_bash(out);
}

/// In single quotes.
std::string quoted(std::string text) {
  for (auto at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 2))
    text.insert(at, 1, '\\');
  return "'" + text + "'";
}

void complete_fish(std::ostream& out) {
  for (const auto& one : program_commands())
    out << "complete -c souffleur -f -n __fish_use_subcommand -a " << one.name << " -d "
        << quoted(std::string{one.says}) << "\n";
  for (const auto& option : described_options())
    for (const auto& name : names_of(option))
      if (name.starts_with("--"))
        out << "complete -c souffleur -n 'not __fish_seen_subcommand_from chat complete tokenize models "
               "cache' -l "
            << name.substr(2) << (option.is_flag ? "" : " -r") << " -d " << quoted(option.says) << "\n";
}

/// As roff reads it.
std::string escaped(const std::string& text) {
  std::string roff;
  for (const char c : text)
    roff += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  return roff.starts_with('.') || roff.starts_with('\'') ? "\\&" + roff : roff;
}

void write_options(std::ostream& out) {
  std::vector<std::string> groups;
  const auto options = described_options();
  for (const auto& option : options)
    if (std::ranges::find(groups, option.group) == groups.end())
      groups.push_back(option.group);
  for (const auto& group : groups) {
    out << ".SS " << escaped(group) << "\n";
    for (const auto& option : options) {
      if (option.group != group)
        continue;
      out << ".TP\n.B " << escaped(option.names) << "\n" << escaped(option.says);
      if (!option.default_value.empty())
        out << " (" << escaped(option.default_value) << ")";
      out << "\n";
    }
  }
}

} // namespace

int run_completion(int argc, const char* const* argv) {
  const std::string shell = argc == 2 ? argv[1] : "";
  if (shell == "bash") {
    complete_bash(std::cout);
  } else if (shell == "zsh") {
    complete_zsh(std::cout);
  } else if (shell == "fish") {
    complete_fish(std::cout);
  } else {
    std::cerr << "souffleur completion bash, zsh or fish: for example\n"
                 "  source <(souffleur completion bash)\n"
                 "  souffleur completion fish > ~/.config/fish/completions/souffleur.fish\n";
    return shell == "--help" || shell == "-h" ? 0 : 2;
  }
  return 0;
}

int run_man(int argc, const char* const* argv) {
  if (argc > 1) {
    std::cerr << "souffleur man | man -l -\n";
    return std::string{argv[1]} == "--help" ? 0 : 2;
  }
  auto& out = std::cout;
  out << ".TH SOUFFLEUR 1\n.SH NAME\nsouffleur \\- serves language models\n"
         ".SH SYNOPSIS\n.B souffleur\n[COMMAND] [OPTION...]\n"
         ".SH DESCRIPTION\nServes a GGUF model over OpenAI's HTTP API and a WebSocket, with a cache of "
         "answers, shared "
         "prefixes and lossless speculation.\n.SH COMMANDS\n";
  for (const auto& one : program_commands())
    out << ".TP\n.B " << one.name << "\n" << escaped(std::string{one.says}) << "\n";
  out << ".SH OPTIONS OF SERVE\nEach is also a key of the configuration file: policy in [cache] is "
         "\\-\\-cache.policy.\n";
  write_options(out);
  out << ".SH SIGNALS\n.TP\n.B SIGTERM\nno new requests; what runs is finished, for server.drain_s at most\n"
         ".TP\n.B SIGINT\nends at once\n.TP\n.B SIGHUP\nreads the configuration and the API keys again: "
         "keys, limits and "
         "the log level may change\n";
  return 0;
}

} // namespace souffleur
