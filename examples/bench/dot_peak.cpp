// The instructions stand in assembly: a compiler would see that all rounds compute the same.
#include "examples/bench/dot_peak.hpp"

#include <immintrin.h>

namespace souffleur::bench {

namespace {

/// Independent sums, enough to hide the latency of every x86 that has the instructions, few enough to stay in
/// registers.
constexpr int n_sums = 12;
constexpr int n_sums_with_scratch = 10; ///< of 16 registers, less the operands and a product on its way

__attribute__((target("avx512f,avx512vnni"))) void avx512_dots(std::int64_t n_iterations) {
  __m512i sums[n_sums] = {};
  const __m512i a = _mm512_set1_epi32(0x01020304);
  const __m512i b = _mm512_set1_epi32(0x05060708);
  for (; n_iterations > 0; --n_iterations)
#pragma GCC unroll 12
    for (int i = 0; i < n_sums; ++i)
      asm volatile("vpdpbusd %2, %1, %0" : "+v"(sums[i]) : "v"(a), "v"(b));
}

__attribute__((target("avx2"))) void avx2_dots(std::int64_t n_iterations) {
  __m256i sums[n_sums_with_scratch] = {};
  const __m256i a = _mm256_set1_epi32(0x01020304);
  const __m256i b = _mm256_set1_epi32(0x05060708);
  for (; n_iterations > 0; --n_iterations)
#pragma GCC unroll 10
    for (int i = 0; i < n_sums_with_scratch; ++i) {
      __m256i products;
      asm volatile("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
                   : "+x"(sums[i]), "=&x"(products)
                   : "x"(a), "x"(b));
    }
}

void sse2_dots(std::int64_t n_iterations) {
  __m128i sums[n_sums_with_scratch] = {};
  const __m128i a = _mm_set1_epi32(0x01020304);
  const __m128i b = _mm_set1_epi32(0x05060708);
  for (; n_iterations > 0; --n_iterations)
#pragma GCC unroll 10
    for (int i = 0; i < n_sums_with_scratch; ++i) {
      __m128i products;
      asm volatile("movdqa %2, %1\n\tpmaddwd %3, %1\n\tpaddd %1, %0"
                   : "+x"(sums[i]), "=&x"(products)
                   : "x"(a), "x"(b));
    }
}

} // namespace

std::vector<dot_loop> dot_loops() {
  std::vector<dot_loop> loops;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni"))
    loops.push_back({"avx512", 64 * n_sums, avx512_dots});
  if (__builtin_cpu_supports("avx2"))
    loops.push_back({"avx2", 32 * n_sums_with_scratch, avx2_dots});
  loops.push_back({"portable", 8 * n_sums_with_scratch, sse2_dots});
  return loops;
}

} // namespace souffleur::bench
