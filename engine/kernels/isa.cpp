#include "engine/kernels/isa.hpp"

#include <cstdlib>

namespace souffleur {

namespace {

/// Every CPU with AVX2 has F16C; not every compiler can ask for it.
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

} // namespace

std::string_view to_string(isa level) {
  switch (level) {
  case isa::avx512:
    return "avx512";
  case isa::avx2:
    return "avx2";
  default:
    return "portable";
  }
}

std::vector<isa> available_isas() {
  std::vector<isa> levels{isa::portable};
  if (has_avx2())
    levels.push_back(isa::avx2);
  if (has_avx512())
    levels.push_back(isa::avx512);
  return levels;
}

bool fetches_streams_itself() {
  static const bool is_intel = __builtin_cpu_is("intel");
  return !is_intel;
}

isa best_isa() {
  const char* forced = std::getenv("SOUFFLEUR_ISA");
  const auto named =
      forced && *forced != '\0' && std::string_view{forced} != "auto" ? isa_named(forced) : std::nullopt;
  return named ? *named : available_isas().back();
}

std::optional<isa> isa_named(std::string_view name) {
  if (name == "auto")
    return best_isa();
  for (const auto level : available_isas())
    if (to_string(level) == name)
      return level;
  return std::nullopt;
}

} // namespace souffleur
