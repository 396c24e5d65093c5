#include "engine/kernels/isa.hpp"

#include <cstdlib>
#include <cstring>

namespace souffleur {

isa best_isa() {
  const char* forced = std::getenv("SOUFFLEUR_ISA");
  if (forced && std::strcmp(forced, "portable") == 0)
    return isa::portable;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? isa::avx2 : isa::portable;
}

} // namespace souffleur
