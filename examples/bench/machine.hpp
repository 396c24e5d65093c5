// What the machine can do at most, measured: the figures that a kernel's are read against.
#pragma once

#include "engine/kernels/isa.hpp"
#include "examples/bench/measurement.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace souffleur::bench {

std::string cpu_name();

struct machine_figures {
  int n_threads = 0;
  /// Of 10^9 bytes, over memory much larger than the last cache and of the kind that weights have.
  summary stream_read_gb_per_s;
  summary stream_copy_gb_per_s; ///< bytes read and bytes written, as STREAM counts (McCalpin 1995)
  /// 10^9 multiply-accumulates a second from registers, by the instruction set: of int8 with AVX-512's
  /// vpdpbusd and AVX2's vpmaddubsw + vpaddw, of int16 with pmaddwd + paddd ("portable").
  std::vector<std::pair<std::string_view, summary>> dot_gmac_per_s;

  /// Null if the CPU has no such instructions.
  const summary* dot_peak(isa level) const;
};

machine_figures measure_machine(int n_threads, int n_repeats);

/// Bytes of weights that no cache keeps from one use to the next.
std::size_t bytes_beyond_caches();

std::vector<measurement> measurements_of(const machine_figures& machine);

} // namespace souffleur::bench
