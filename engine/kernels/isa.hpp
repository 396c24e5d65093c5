// Which instructions the kernels may use.
#pragma once

#include <cstdint>

namespace souffleur {

enum class isa : std::uint8_t { portable, avx2 };

/// The best that this CPU has; the environment variable SOUFFLEUR_ISA=portable lowers it.
isa best_isa();

} // namespace souffleur
