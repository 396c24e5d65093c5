// e^x in double precision, for loops that vectorise and for kernels of devices.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__CUDACC__)
#define SOUFFLEUR_ANYWHERE __host__ __device__ __forceinline__
#else
#define SOUFFLEUR_ANYWHERE __attribute__((always_inline)) inline
#endif

namespace souffleur {

/// Natural logarithm of 2^-60: what is below does not count beside the most likely token.
constexpr double negligible = -60 * 0.69314718055994530942;

/// e^x for negligible <= x <= 0, relative error below 1e-11, without branches. The same bits wherever it is
/// compiled without contraction.
SOUFFLEUR_ANYWHERE double exp_of_non_positive(double x) {
  constexpr double shifter = 0x1.8p52;
  const double shifted = x * 1.4426950408889634074 + shifter;
  const double whole = shifted - shifter;
  const double r = x - whole * 0.69314718055994530942;
  double sum = 1.0 / 362880;
  for (const double c : {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0}) {
    sum = sum * r + c;
  }
  const auto power = (std::bit_cast<std::uint64_t>(shifted) + 1023) << 52;
  return sum * std::bit_cast<double>(power);
}

} // namespace souffleur
