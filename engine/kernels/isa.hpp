// Which instructions the kernels may use.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace souffleur {

/// avx2: with FMA and F16C. avx512: F, BW, DQ, VL and VNNI.
enum class isa : std::uint8_t { portable, avx2, avx512 };

std::string_view to_string(isa level);

/// Those that this CPU has, the widest last.
std::vector<isa> available_isas();

/// One of those that this CPU has; "auto": best_isa(). Nothing for any other name.
std::optional<isa> isa_named(std::string_view name);

/// Whether what is read front to back is there in time without being asked for. So it is on AMD's CPUs (Zen 3
/// and 4 were measured); Intel's (Emerald Rapids) read a large model a fifth to a quarter faster if asked
/// ahead.
bool fetches_streams_itself();

/// The widest that this CPU has. The environment variable SOUFFLEUR_ISA (portable, avx2, avx512) lowers it.
isa best_isa();

} // namespace souffleur
