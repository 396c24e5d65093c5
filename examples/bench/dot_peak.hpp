// Loops that do nothing but multiply and accumulate small integers in registers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace souffleur::bench {

struct dot_loop {
  std::string_view instructions; ///< as to_string(isa) has them
  int macs_per_iteration = 0;
  void (*run)(std::int64_t n_iterations) = nullptr;
};

/// Those that this CPU can run, the widest first.
std::vector<dot_loop> dot_loops();

} // namespace souffleur::bench
