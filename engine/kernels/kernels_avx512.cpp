// The kernels for AVX-512 with VNNI. Compiled with options of its own (CMakeLists.txt), so that
// nothing inline of other headers may be called here: the linker might keep this file's copy for all CPUs.
#if defined(__x86_64__)
#include "engine/kernels/kernel_table.hpp"

#include <cstddef>
#include <cstdint>
#include <immintrin.h>
#include <utility>

#include "engine/kernels/simd/avx512.hpp"
#include "engine/kernels/simd/indices.hpp"
#include "engine/kernels/simd/rows.hpp"

namespace souffleur {
namespace {
constexpr int score_registers = 24;
constexpr int value_registers = 24;
} // namespace
} // namespace souffleur

#include "engine/kernels/simd/attention.hpp"
#include "engine/kernels/simd/matmul_avx512.hpp"
#include "engine/kernels/simd/real_matmul.hpp"
#include "engine/kernels/simd/tile_table.hpp"

namespace souffleur {

const kernel_table& avx512_kernels() { return table_of<6, 1, 2, 3, 4, 6, 8, 12>(); }

} // namespace souffleur
#endif
