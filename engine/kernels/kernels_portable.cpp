// The kernels in plain C++.
#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/simd/indices.hpp"
#include "engine/kernels/simd/portable.hpp"
#include "engine/kernels/simd/rows.hpp"

namespace souffleur {
namespace {
constexpr int score_registers = 1;
constexpr int value_registers = 1;
} // namespace
} // namespace souffleur

#include "engine/kernels/simd/attention.hpp"
#include "engine/kernels/simd/matmul_portable.hpp"
#include "engine/kernels/simd/real_matmul.hpp"
#include "engine/kernels/simd/tile_table.hpp"

namespace souffleur {

const kernel_table& portable_kernels() { return table_of<4, 1, 4>(); }

const kernel_table& kernels_of(isa level) {
#if defined(__x86_64__)
  if (level == isa::avx512)
    return avx512_kernels();
  if (level == isa::avx2)
    return avx2_kernels();
#endif
  (void)level;
  return portable_kernels();
}

} // namespace souffleur
