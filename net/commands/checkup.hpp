// What `souffleur doctor` looks at, one thing a function: a finding has what was seen and, if it is not well,
// what to do.
#pragma once

#include "net/command_line.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace souffleur {

enum class health : std::uint8_t { fine, poor, bad }; ///< poor: it serves, but not well

struct finding {
  std::string what; ///< a word or two
  health state = health::fine;
  std::string seen;
  std::string to_do; ///< empty: nothing
};

/// What the system says of itself; a test says something else.
struct machine_facts {
  std::vector<std::string> instruction_sets; ///< the widest last
  int n_cpus = 1;                            ///< that this process may use
  double load = 0;                           ///< processes that want a CPU, over a minute
  std::size_t free_bytes = 0;                ///< of memory, with what caches would give back
  std::size_t cgroup_bytes = 0;              ///< the most that this process may take; 0: no limit
  int max_descriptors = 0;
};
machine_facts read_machine();

finding check_cpu(const machine_facts& machine, const server_settings& settings);
/// Of the model; fine, too, where it is the CPU.
finding check_device(const server_settings& settings);
finding check_load(const machine_facts& machine);
finding check_model(const server_settings& settings);
finding check_memory(const machine_facts& machine, const server_settings& settings);
finding check_embedder(const server_settings& settings);
finding check_store(const server_settings& settings);
finding check_address(const server_settings& settings);
finding check_descriptors(const machine_facts& machine, const server_settings& settings);
/// The files that settings name: keys, certificate, calibration, folder of the file tier.
std::vector<finding> check_files(const server_settings& settings);

} // namespace souffleur
