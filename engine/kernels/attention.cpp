#include "engine/kernels/attention.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

// One source, compiled for several instruction sets and chosen at load time by the dynamic linker.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SOUFFLEUR_CLONES __attribute__((target_clones("arch=haswell", "default")))
#else
#define SOUFFLEUR_CLONES
#endif

namespace souffleur {

namespace {

constexpr int max_head_dim = 256;

/// e^x to about one unit in the last place, without branches so that loops over it vectorise. Range reduction by
/// multiples of ln 2, then a degree-6 polynomial (Cephes).
inline float fast_exp(float x) {
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
    float* values = layer.values + layer.block(page, head) + static_cast<std::ptrdiff_t>(slot) * layer.head_dim;
    for (int d = 0; d < layer.head_dim; ++d) {
      keys[d * page_tokens + slot] = key[head * layer.head_dim + d];
      values[d] = value[head * layer.head_dim + d];
    }
  }
}

SOUFFLEUR_CLONES
void attend(const kv_layer& layer, std::span<const page_id> pages, int n_positions, int kv_head, const float* q,
            float* out) {
  const int head_dim = layer.head_dim;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  float total[max_head_dim];
  std::fill(total, total + head_dim, 0.0F);
  float largest = -std::numeric_limits<float>::infinity();
  float mass = 0;
  for (int first = 0, p = 0; first < n_positions; first += page_tokens, ++p) {
    const float* keys = layer.keys + layer.block(pages[static_cast<std::size_t>(p)], kv_head);
    const float* values = layer.values + layer.block(pages[static_cast<std::size_t>(p)], kv_head);
    const int n = std::min(page_tokens, n_positions - first);
    float scores[page_tokens] = {};
    for (int d = 0; d < head_dim; ++d)
      for (int t = 0; t < page_tokens; ++t)
        scores[t] += q[d] * keys[d * page_tokens + t];
    float page_largest = largest;
    for (int t = 0; t < n; ++t)
      page_largest = std::max(page_largest, scores[t] * scale);
    float weights[page_tokens];
    for (int t = 0; t < page_tokens; ++t)
      weights[t] = fast_exp(scores[t] * scale - page_largest);
    const float fade = first == 0 ? 0.0F : fast_exp(largest - page_largest);
    largest = page_largest;
    mass *= fade;
    for (int d = 0; d < head_dim; ++d)
      total[d] *= fade;
    for (int t = 0; t < n; ++t) {
      mass += weights[t];
      const float* value = values + static_cast<std::ptrdiff_t>(t) * head_dim;
      for (int d = 0; d < head_dim; ++d)
        total[d] += weights[t] * value[d];
    }
  }
  for (int d = 0; d < head_dim; ++d)
    out[d] = total[d] / mass;
}

SOUFFLEUR_CLONES
void swiglu(const float* gate, const float* up, float* y, int n) {
  for (int i = 0; i < n; ++i)
    y[i] = gate[i] / (1.0F + fast_exp(-gate[i])) * up[i];
}

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
