#include "engine/kernels/attention.hpp"

#include "engine/kernels/clones.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <immintrin.h>
#include <limits>

namespace souffleur {

namespace {

constexpr int max_head_dim = 256;

/// e^x to about one unit in the last place, without branches so that loops over it vectorise. Range reduction
/// by multiples of ln 2, then a degree-6 polynomial (Cephes).
__attribute__((always_inline)) inline float fast_exp(float x) {
  x = std::min(std::max(x, -87.0F), 88.0F);
  constexpr float magic = 12582912.0F; // adding it rounds to an integer
  const float shifted = x * 1.44269504088896341F + magic;
  const float n = shifted - magic;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  const std::int32_t exponent = (static_cast<std::int32_t>(n) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

} // namespace

void write_kv(const kv_layer& layer, page_id page, int slot, const float* key, const float* value) {
  for (int head = 0; head < layer.n_kv_heads; ++head) {
    float* keys = layer.keys + layer.block(page, head);
    float* values =
        layer.values + layer.block(page, head) + static_cast<std::ptrdiff_t>(slot) * layer.head_dim;
    for (int d = 0; d < layer.head_dim; ++d) {
      keys[d * page_tokens + slot] = key[head * layer.head_dim + d];
      values[d] = value[head * layer.head_dim + d];
    }
  }
}

namespace {

#define SOUFFLEUR_INLINE __attribute__((always_inline)) inline
#define SOUFFLEUR_AVX2 __attribute__((target("avx2,fma")))

constexpr int max_heads = 4; ///< that are computed at once

/// Online softmax of several query heads: each head's weighted values so far, its largest score and its mass.
struct attention_state {
  float total[max_heads][max_head_dim];
  float largest[max_heads];
  float mass[max_heads];
};

using head_scores = float[max_heads][page_tokens];

struct portable_page {
  /// scores[h] = q[h] · K.
  template <int Heads>
  static void score(const float* keys, const float* q, int head_dim, head_scores& scores) {
    for (int h = 0; h < Heads; ++h) {
      std::fill(scores[h], scores[h] + page_tokens, 0.0F);
      for (int d = 0; d < head_dim; ++d)
        for (int t = 0; t < page_tokens; ++t)
          scores[h][t] += q[h * head_dim + d] * keys[d * page_tokens + t];
    }
  }
  /// total[h] = total[h] * fade[h] + weights[h] · V over the page's first `n` positions.
  template <int Heads>
  static void add(attention_state& state, const float* fade, const head_scores& weights, int n,
                  const float* values, int head_dim) {
    for (int h = 0; h < Heads; ++h) {
      for (int d = 0; d < head_dim; ++d)
        state.total[h][d] *= fade[h];
      for (int t = 0; t < n; ++t)
        for (int d = 0; d < head_dim; ++d)
          state.total[h][d] += weights[h][t] * values[t * head_dim + d];
    }
  }
};

/// The same, several heads at once: keys and values are read once for all, and sums stay in registers.
struct avx2_page {
  static constexpr int lanes = 8;

  template <int Heads>
  SOUFFLEUR_AVX2 static void score(const float* keys, const float* q, int head_dim, head_scores& scores) {
    __m256 sums[Heads][2];
    for (int h = 0; h < Heads; ++h)
      sums[h][0] = sums[h][1] = _mm256_setzero_ps();
    for (int d = 0; d < head_dim; ++d) {
      const __m256 low = _mm256_loadu_ps(keys + d * page_tokens);
      const __m256 high = _mm256_loadu_ps(keys + d * page_tokens + lanes);
      for (int h = 0; h < Heads; ++h) {
        const __m256 one = _mm256_set1_ps(q[h * head_dim + d]);
        sums[h][0] = _mm256_fmadd_ps(one, low, sums[h][0]);
        sums[h][1] = _mm256_fmadd_ps(one, high, sums[h][1]);
      }
    }
    for (int h = 0; h < Heads; ++h) {
      _mm256_storeu_ps(scores[h], sums[h][0]);
      _mm256_storeu_ps(scores[h] + lanes, sums[h][1]);
    }
  }

  template <int Heads>
  SOUFFLEUR_AVX2 static void add(attention_state& state, const float* fade, const head_scores& weights, int n,
                                 const float* values, int head_dim) {
    int d = 0;
    for (; d + 2 * lanes <= head_dim; d += 2 * lanes) {
      __m256 sums[Heads][2];
      for (int h = 0; h < Heads; ++h)
        for (int e = 0; e < 2; ++e)
          sums[h][e] =
              _mm256_mul_ps(_mm256_loadu_ps(state.total[h] + d + e * lanes), _mm256_set1_ps(fade[h]));
      for (int t = 0; t < n; ++t) {
        const __m256 low = _mm256_loadu_ps(values + t * head_dim + d);
        const __m256 high = _mm256_loadu_ps(values + t * head_dim + d + lanes);
        for (int h = 0; h < Heads; ++h) {
          const __m256 weight = _mm256_set1_ps(weights[h][t]);
          sums[h][0] = _mm256_fmadd_ps(weight, low, sums[h][0]);
          sums[h][1] = _mm256_fmadd_ps(weight, high, sums[h][1]);
        }
      }
      for (int h = 0; h < Heads; ++h)
        for (int e = 0; e < 2; ++e)
          _mm256_storeu_ps(state.total[h] + d + e * lanes, sums[h][e]);
    }
    for (; d < head_dim; ++d)
      for (int h = 0; h < Heads; ++h) {
        float sum = state.total[h][d] * fade[h];
        for (int t = 0; t < n; ++t)
          sum += weights[h][t] * values[t * head_dim + d];
        state.total[h][d] = sum;
      }
  }
};

/// Turns head `h`'s scores of a page's first `n` positions into weights beside the new largest score; returns
/// what the head's total so far is to be multiplied with.
SOUFFLEUR_INLINE float weigh_page(attention_state& state, int h, float scale, int n, float* scores) {
  float largest = state.largest[h];
  for (int t = 0; t < n; ++t)
    largest = std::max(largest, scores[t] * scale);
  for (int t = 0; t < page_tokens; ++t)
    scores[t] = fast_exp(scores[t] * scale - largest);
  const float fade = state.mass[h] == 0 ? 0.0F : fast_exp(state.largest[h] - largest);
  state.largest[h] = largest;
  state.mass[h] *= fade;
  for (int t = 0; t < n; ++t)
    state.mass[h] += scores[t];
  return fade;
}

struct attention_task {
  kv_layer layer;
  std::span<const page_id> pages;
  int n_positions;
  int kv_head;
};

template <class Page, int Heads>
SOUFFLEUR_INLINE void attend_heads(const attention_task& task, const float* q, float* out) {
  const int head_dim = task.layer.head_dim;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  attention_state state;
  for (int h = 0; h < Heads; ++h) {
    std::fill(state.total[h], state.total[h] + head_dim, 0.0F);
    state.largest[h] = -std::numeric_limits<float>::infinity();
    state.mass[h] = 0;
  }
  for (int first = 0, p = 0; first < task.n_positions; first += page_tokens, ++p) {
    const auto at = task.layer.block(task.pages[static_cast<std::size_t>(p)], task.kv_head);
    const int n = std::min(page_tokens, task.n_positions - first);
    head_scores scores;
    float fade[Heads];
    Page::template score<Heads>(task.layer.keys + at, q, head_dim, scores);
    for (int h = 0; h < Heads; ++h)
      fade[h] = weigh_page(state, h, scale, n, scores[h]);
    Page::template add<Heads>(state, fade, scores, n, task.layer.values + at, head_dim);
  }
  for (int h = 0; h < Heads; ++h)
    for (int d = 0; d < head_dim; ++d)
      out[h * head_dim + d] = state.total[h][d] / state.mass[h];
}

template <class Page>
SOUFFLEUR_INLINE void attend_any(const attention_task& task, int n_heads, const float* q, float* out) {
  switch (n_heads) {
  case 4:
    attend_heads<Page, 4>(task, q, out);
    break;
  case 3:
    attend_heads<Page, 3>(task, q, out);
    break;
  case 2:
    attend_heads<Page, 2>(task, q, out);
    break;
  default:
    attend_heads<Page, 1>(task, q, out);
  }
}

void attend_portable(const attention_task& task, int n_heads, const float* q, float* out) {
  attend_any<portable_page>(task, n_heads, q, out);
}

SOUFFLEUR_AVX2 void attend_avx2(const attention_task& task, int n_heads, const float* q, float* out) {
  attend_any<avx2_page>(task, n_heads, q, out);
}

} // namespace

void attend(const kv_layer& layer, std::span<const page_id> pages, int n_positions, int kv_head, int n_heads,
            const float* q, float* out, isa level) {
  const attention_task task{layer, pages, n_positions, kv_head};
  while (n_heads > 0) {
    const int n = std::min(n_heads, max_heads);
    (level == isa::avx2 ? attend_avx2 : attend_portable)(task, n, q, out);
    n_heads -= n;
    q += n * layer.head_dim;
    out += n * layer.head_dim;
  }
}

SOUFFLEUR_CLONES
void swiglu(const float* gate, const float* up, float* y, int n) {
  for (int i = 0; i < n; ++i)
    y[i] = gate[i] / (1.0F + fast_exp(-gate[i])) * up[i];
}

SOUFFLEUR_CLONES
void rms_norm(const float* x, const float* weight, float epsilon, float* y, int n) {
  constexpr int lanes = 8; // a fixed order that still vectorises
  float squares[lanes] = {};
  int i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int lane = 0; lane < lanes; ++lane)
      squares[lane] += x[i + lane] * x[i + lane];
  float sum = 0;
  for (const float square : squares)
    sum += square;
  for (; i < n; ++i)
    sum += x[i] * x[i];
  const float factor = 1.0F / std::sqrt(sum / static_cast<float>(n) + epsilon);
  for (int k = 0; k < n; ++k)
    y[k] = x[k] * factor * weight[k];
}

} // namespace souffleur
