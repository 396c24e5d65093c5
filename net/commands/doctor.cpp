#include "net/commands/doctor.hpp"

#include "net/command_line.hpp"
#include "net/commands/checkup.hpp"
#include "net/commands/words.hpp"

#include <algorithm>
#include <cstdio>
#include <unistd.h>
#include <vector>

namespace souffleur {

namespace {

void print(const finding& one) {
  constexpr const char* marks[] = {"fine", "poor", "bad "};
  constexpr const char* colours[] = {"\033[32m", "\033[33m", "\033[31m"};
  const auto state = static_cast<std::size_t>(one.state);
  const bool is_terminal = isatty(STDOUT_FILENO) != 0;
  std::printf("%s%s%s  %-12s %s\n", is_terminal ? colours[state] : "", marks[state],
              is_terminal ? "\033[0m" : "", one.what.c_str(), one.seen.c_str());
  if (!one.to_do.empty())
    std::printf("%19s%s\n", "", one.to_do.c_str());
}

} // namespace

int run_doctor(int argc, const char* const* argv) {
  const auto read = settings_or_leave(argc, argv);
  if (const auto* code = std::get_if<int>(&read))
    return *code;
  const auto& settings = std::get<server_settings>(read);
  const auto machine = read_machine();
  std::vector<finding> found{
      check_cpu(machine, settings), check_device(settings),          check_load(machine),
      check_model(settings),        check_memory(machine, settings), check_embedder(settings),
      check_store(settings),        check_address(settings),         check_descriptors(machine, settings)};
  for (auto& one : check_files(settings))
    found.push_back(std::move(one));
  for (const auto& one : found)
    print(one);
  const bool is_bad = std::ranges::any_of(found, [](const auto& one) { return one.state == health::bad; });
  std::printf("\n%s\n",
              is_bad ? "It cannot serve like this." : "`souffleur serve` with the same options will do.");
  return is_bad ? 1 : 0;
}

} // namespace souffleur
