// The kernels for AVX2 with FMA and F16C. Compiled with options of its own (CMakeLists.txt), so that
// nothing inline of other headers may be called here: the linker might keep this file's copy for all CPUs.
#if defined(__x86_64__)
#include "engine/kernels/kernel_table.hpp"

#include <cstddef>
#include <cstdint>
#include <immintrin.h>
#include <utility>

#include "engine/kernels/simd/avx2.hpp"
#include "engine/kernels/simd/indices.hpp"
#include "engine/kernels/simd/rows.hpp"

namespace souffleur {
namespace {
constexpr int score_registers = 6; // of two each
constexpr int value_registers = 6;
} // namespace
} // namespace souffleur

#include "engine/kernels/simd/attention.hpp"
#include "engine/kernels/simd/matmul_avx2.hpp"
#include "engine/kernels/simd/real_matmul.hpp"
#include "engine/kernels/simd/tile_table.hpp"

namespace souffleur {

const kernel_table& avx2_kernels() { return table_of<4, 1, 2, 3, 4, 6>(); }

} // namespace souffleur
#endif
