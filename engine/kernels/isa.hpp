// The instruction sets that the kernels are written for.
#pragma once

#include <cstdint>
#include <string_view>

namespace souffleur {

enum class isa : std::uint8_t { portable, avx2, avx512vnni };

/// The best set of this CPU. The environment variable SOUFFLEUR_ISA (portable, avx2, avx512vnni) asks for a
/// lower one; a set that the CPU lacks, or an unknown name, is ignored.
isa best_isa();
bool cpu_has(isa level);
std::string_view to_string(isa level);

} // namespace souffleur
