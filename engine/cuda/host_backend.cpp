// What each kernel computes, in its order, one value after the other.
#include "engine/cuda/backend.hpp"
#include "engine/cuda/host_draw.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace souffleur::cuda {

namespace {

/// The order in which lanes of a warp add up, and warps of a product: in pairs, from far to near.
float sum_in_pairs(std::span<float> values) {
  for (std::size_t step = values.size() / 2; step > 0; step /= 2)
    for (std::size_t i = 0; i < step; ++i)
      values[i] += values[i + step];
  return values[0];
}

/// Row `row` of rounded rows.
void round_row(const float* x, int n, int row, const rounded_rows& out) {
  const int n_blocks = n / block_values;
  for (int b = 0; b < n_blocks; ++b, x += block_values) {
    float largest = 0;
    for (int i = 0; i < block_values; ++i)
      largest = std::max(largest, std::fabs(x[i]));
    const auto place = input_place(row, b, n_blocks);
    const auto by = rounding_of(largest);
    block_stats stats{by.scale, {0, 0}};
    for (int i = 0; i < block_values; ++i) {
      const int q = rounded(x[i], by);
      out.quants[place * block_values + i] = static_cast<std::int8_t>(q);
      stats.sums[i / 16] = static_cast<std::int16_t>(stats.sums[i / 16] + q);
    }
    out.stats[place] = stats;
  }
}

void put_row(const float* x, int n, int row, const activation_rows& out, bool accumulate = false) {
  if (accumulate)
    std::transform(x, x + n, out.rows + std::ptrdiff_t{row} * n, out.rows + std::ptrdiff_t{row} * n,
                   std::plus{});
  else if (out.rows)
    std::copy_n(x, n, out.rows + std::ptrdiff_t{row} * n);
  if (out.rounded.quants)
    round_row(x, n, row, out.rounded);
}

template <tensor_type T>
float product_of(const matmul_call& call, int row, int output) {
  const int n_blocks = call.weights.n_in / block_values;
  const auto n_sums = static_cast<std::size_t>(sums_for(call.weights.n_in));
  float sums[warp_lanes] = {};
  for (int b = 0; b < n_blocks; ++b) {
    const auto place = input_place(row, b, n_blocks);
    std::uint32_t x[8];
    std::memcpy(x, call.x.rounded.quants + place * block_values, sizeof x);
    auto& sum = sums[static_cast<std::size_t>(b) % n_sums];
    sum = add_product<T>(sum, unpack<T>(load_block<T>(call.weights, output, b)), x,
                         call.x.rounded.stats[place]);
  }
  return sum_in_pairs({sums, n_sums});
}

float real_weight(const device_matrix& weights, std::ptrdiff_t index) {
  if (weights.type == tensor_type::f16) {
    std::uint16_t bits;
    std::memcpy(&bits, weights.quants + 2 * index, sizeof bits);
    return float_of_half(bits);
  }
  float value;
  std::memcpy(&value, weights.quants + 4 * index, sizeof value);
  return value;
}

float real_product_of(const matmul_call& call, int row, int output) {
  const int n_in = call.weights.n_in;
  float sums[warp_lanes] = {};
  for (int k = 0; k < n_in; ++k) {
    auto& sum = sums[k / 4 % warp_lanes];
    sum = fmaf(real_weight(call.weights, std::ptrdiff_t{output} * n_in + k),
               call.x.rows[std::ptrdiff_t{row} * n_in + k], sum);
  }
  return sum_in_pairs(sums);
}

using product_function = float (*)(const matmul_call&, int, int);

product_function product_for(tensor_type type) {
  product_function function = real_product_of;
  if (!packed_format_of(type).is_real)
    with_quantised_format(type, [&]<tensor_type T>() { function = product_of<T>; });
  return function;
}

template <tensor_type T>
void unpack_row(const device_matrix& weights, int row, float* out) {
  for (int b = 0; b < weights.n_in / block_values; ++b) {
    const auto block = unpack<T>(load_block<T>(weights, row, b));
    for (int i = 0; i < block_values; ++i)
      *out++ = weight_of<T>(block, i);
  }
}

void unpack_real_row(const device_matrix& weights, int row, float* out) {
  for (int k = 0; k < weights.n_in; ++k)
    out[k] = real_weight(weights, std::ptrdiff_t{row} * weights.n_in + k);
}

using unpack_function = void (*)(const device_matrix&, int, float*);

unpack_function unpack_for(tensor_type type) {
  unpack_function function = unpack_real_row;
  if (!packed_format_of(type).is_real)
    with_quantised_format(type, [&]<tensor_type T>() { function = unpack_row<T>; });
  return function;
}

constexpr int norm_threads = 512;

float norm_factor(const float* x, int n, float epsilon) {
  float sums[norm_threads] = {};
  for (int i = 0; i < n; ++i)
    sums[i % norm_threads] = fmaf(x[i], x[i], sums[i % norm_threads]);
  float total = 0;
  for (int warp = 0; warp < norm_threads / warp_lanes; ++warp)
    total += sum_in_pairs({sums + std::ptrdiff_t{warp} * warp_lanes, warp_lanes});
  return 1.0F / sqrtf(total / static_cast<float>(n) + epsilon);
}

/// The pair (i, i + half) of a head, turned.
struct turned_pair {
  float first, second;
};

turned_pair turned(const float* head, int i, int half, float cosine, float sine) {
  const float a = head[i];
  const float b = head[i + half];
  return {fmaf(a, cosine, -(b * sine)), fmaf(a, sine, b * cosine)};
}

/// A head (2 half,) is divided by its rms and multiplied with `weight`; null: it stays.
void norm_head(float* head, int half, const float* weight, float epsilon) {
  if (weight == nullptr)
    return;
  float total = 0;
  for (int first = 0; first < half; first += warp_lanes) {
    float sums[warp_lanes] = {};
    for (int i = first; i < std::min(half, first + warp_lanes); ++i)
      sums[i - first] = fmaf(head[i + half], head[i + half], head[i] * head[i]);
    total += sum_in_pairs(sums);
  }
  const float factor = 1.0F / sqrtf(total / static_cast<float>(2 * half) + epsilon);
  for (int i = 0; i < 2 * half; ++i)
    head[i] = head[i] * factor * weight[i];
}

/// Of one row, head and part: exponentials relative to the largest score, their sum, and the values weighted
/// with them.
struct attention_part {
  float largest = -std::numeric_limits<float>::infinity();
  float mass = 0;
  std::vector<float> values;
};

class attention {
public:
  explicit attention(const attention_call& call)
      : call_(call), dim_(call.kv.head_dim), chunks_(dim_ / 8), groups_(part_tokens / chunks_) {}

  void run() const {
    std::vector<float> out(static_cast<std::size_t>(call_.n_heads * dim_));
    for (int row = 0; row < call_.rows.n_rows; ++row) {
      for (int head = 0; head < call_.n_heads; ++head)
        attend_head(row, head, out.data() + std::ptrdiff_t{head} * dim_);
      put_row(out.data(), call_.n_heads * dim_, row, call_.out);
    }
  }

private:
  const std::uint16_t* head_at(const std::uint16_t* pages, int row, int head, int place) const {
    const auto* line = call_.rows.page_table + std::ptrdiff_t{call_.rows.lines[row]} * call_.rows.table_width;
    const int kv_head = head / (call_.n_heads / call_.kv.n_kv_heads);
    return pages + line[place / page_tokens] * call_.kv.page_stride +
           (std::ptrdiff_t{kv_head} * page_tokens + place % page_tokens) * dim_;
  }

  void attend_head(int row, int head, float* out) const {
    const int end = call_.rows.places[row] + 1;
    const int begin = call_.window > 0 ? std::max(0, end - call_.window) : 0;
    std::vector<attention_part> parts;
    for (int first = begin / part_tokens * part_tokens; first < end; first += part_tokens)
      parts.push_back(part_of(row, head, first, begin, end));
    float largest = parts[0].largest;
    for (const auto& part : parts)
      largest = std::max(largest, part.largest);
    float mass = 0;
    std::fill_n(out, dim_, 0.0F);
    for (const auto& part : parts) {
      const float factor = exp_of(part.largest - largest);
      mass = fmaf(factor, part.mass, mass);
      for (int d = 0; d < dim_; ++d)
        out[d] = fmaf(factor, part.values[static_cast<std::size_t>(d)], out[d]);
    }
    for (int d = 0; d < dim_; ++d)
      out[d] /= mass;
  }

  float score_of(int row, int head, int place) const {
    const int heads = call_.n_heads + 2 * call_.kv.n_kv_heads;
    const float* q = call_.qkv + (std::ptrdiff_t{row} * heads + head) * dim_;
    const auto* k = head_at(call_.kv.keys, row, head, place);
    float sums[warp_lanes] = {};
    for (int d = 0; d < dim_; ++d)
      sums[d / 8] = fmaf(q[d] * call_.scale, float_of_half(k[d]), sums[d / 8]);
    return sum_in_pairs({sums, static_cast<std::size_t>(chunks_)});
  }

  attention_part part_of(int row, int head, int first, int begin, int end) const {
    attention_part part;
    float weights[part_tokens] = {};
    const int from = std::max(0, begin - first);
    const int to = std::min(part_tokens, end - first);
    for (int j = from; j < to; ++j) {
      weights[j] = score_of(row, head, first + j);
      part.largest = std::max(part.largest, weights[j]);
    }
    float sums[warp_lanes] = {};
    for (int j = from; j < to; ++j) {
      weights[j] = exp_of(weights[j] - part.largest);
      sums[j % warp_lanes] += weights[j];
    }
    part.mass = sum_in_pairs(sums);
    part.values = weighted_values(row, head, first, from, to, weights);
    return part;
  }

  /// Each group of lanes sums every groups_th position, then a warp its groups, then the warps.
  std::vector<float> weighted_values(int row, int head, int first, int from, int to,
                                     const float* weights) const {
    const int n_warps = part_tokens / warp_lanes;
    const int groups_in_warp = groups_ / n_warps;
    std::vector<float> values(static_cast<std::size_t>(dim_));
    for (int d = 0; d < dim_; ++d) {
      std::vector<float> sums(static_cast<std::size_t>(groups_));
      for (int j = from; j < to; ++j) {
        auto& sum = sums[static_cast<std::size_t>(j % groups_)];
        sum = fmaf(weights[j], float_of_half(head_at(call_.kv.values, row, head, first + j)[d]), sum);
      }
      float total = 0;
      for (int warp = 0; warp < n_warps; ++warp)
        total += sum_in_pairs(std::span{sums}.subspan(static_cast<std::size_t>(warp * groups_in_warp),
                                                      static_cast<std::size_t>(groups_in_warp)));
      values[static_cast<std::size_t>(d)] = total;
    }
    return values;
  }

  const attention_call& call_;
  int dim_;
  int chunks_; ///< lanes that share a position, eight dimensions each
  int groups_; ///< of so many lanes
};

class host_backend final : public backend {
public:
  std::string name() const override { return "host"; }

  std::shared_ptr<std::byte> allocate(std::size_t size_bytes) override {
    return {static_cast<std::byte*>(std::calloc(size_bytes, 1)), std::free};
  }
  std::shared_ptr<std::byte> allocate_on_host(std::size_t size_bytes) override {
    return allocate(size_bytes);
  }
  void upload(const void* from, void* to, std::size_t size_bytes) override {
    std::memcpy(to, from, size_bytes);
  }
  void queue_upload(const void* from, void* to, std::size_t size_bytes) override {
    std::memcpy(to, from, size_bytes);
  }
  void download(const void* from, void* to, std::size_t size_bytes) override {
    std::memcpy(to, from, size_bytes);
  }
  void copy(const void* from, void* to, std::size_t size_bytes) override {
    std::memcpy(to, from, size_bytes);
  }
  std::string take_error() override { return {}; }

  void embed(const device_matrix& weights, const std::int32_t* tokens, int n_rows, float scale,
             float* x) override {
    for (int row = 0; row < n_rows; ++row)
      unpack_for(weights.type)(weights, tokens[row], x + std::ptrdiff_t{row} * weights.n_in);
    std::for_each_n(x, std::ptrdiff_t{n_rows} * weights.n_in, [&](float& value) { value *= scale; });
  }

  void normalise(const norm_call& call) override {
    std::vector<float> row(static_cast<std::size_t>(call.n));
    for (int i = 0; i < call.n_rows; ++i) {
      const float* x = call.x + std::ptrdiff_t{call.from_rows ? call.from_rows[i] : i} * call.n;
      const float factor = call.weight ? norm_factor(x, call.n, call.epsilon) : 1.0F;
      for (int k = 0; k < call.n; ++k)
        row[static_cast<std::size_t>(k)] = call.weight ? x[k] * factor * call.weight[k] : x[k];
      put_row(row.data(), call.n, i, call.out, call.accumulate);
    }
  }

  void multiply(const matmul_call& call) override {
    const auto product = product_for(call.weights.type);
    for (int row = 0; row < call.n_rows; ++row) {
      float* y = call.y + std::ptrdiff_t{row} * call.y_stride;
      for (int o = 0; o < call.weights.n_out; o += call.is_gated ? 2 : 1) {
        float value = product(call, row, o);
        if (call.is_gated) {
          y[o / 2] = activated(call.gate, value) * product(call, row, o + 1);
          continue;
        }
        if (call.bias)
          value += call.bias[o];
        y[o] = call.accumulate ? y[o] + value : value;
      }
    }
  }

  void rotate_and_store(const store_call& call) override {
    for (int i = 0; i < call.n_copies; ++i)
      store(call, call.copies[2 * i], call.copies[2 * i + 1]);
    for (int row = 0; row < call.rows.n_rows; ++row) {
      store(call, row, call.rows.lines[row]);
      for (int head = 0; head < call.n_heads; ++head)
        turn(call, row, head);
    }
  }

  void turn(const turn_call& call) override {
    const int dim = call.kv.head_dim;
    auto* keys = call.kv.keys + call.page * call.kv.page_stride;
    std::vector<float> key(static_cast<std::size_t>(dim));
    for (int i = 0; i < call.kv.n_kv_heads * page_tokens; ++i, keys += dim) {
      std::transform(keys, keys + dim, key.begin(), float_of_half);
      for (int k = 0; k < dim / 2; ++k) {
        const auto pair = turned(key.data(), k, dim / 2, call.cosines[k], call.sines[k]);
        keys[k] = half_of(pair.first);
        keys[k + dim / 2] = half_of(pair.second);
      }
    }
  }

  void attend(const attention_call& call) override { attention{call}.run(); }

  void choose(const argmax_call& call) override {
    for (int row = 0; row < call.n_rows; ++row) {
      const float* logits = call.logits + std::ptrdiff_t{row} * call.n_vocabulary;
      call.choices[row] = 0;
      for (int token = 1; token < call.n_vocabulary; ++token)
        if (logits[token] > logits[call.choices[row]] || std::isnan(logits[call.choices[row]]))
          call.choices[row] = std::isnan(logits[token]) ? call.choices[row] : token;
    }
  }

  void draw(const draw_call& call) override {
    const auto n = static_cast<std::size_t>(call.n_vocabulary);
    for (int row = 0; row < call.n_rows; ++row)
      call.choices[row] = drawn_token({call.logits + std::ptrdiff_t{row} * call.n_vocabulary, n},
                                      call.choices[row], call.draws[row]);
  }

  void accept(const acceptance_call& call) override {
    for (int s = 0; s < call.n_sequences; ++s) {
      const int first = call.first_rows[s];
      const int n_rows = call.first_rows[s + 1] - first;
      int row = 0;
      int n = 0;
      for (int child = 1; child < n_rows; ++child)
        if (call.parents[first + child] == row && call.tokens[first + child] == call.choices[first + row]) {
          call.emitted[s * call.most_tokens + n++] = call.tokens[first + child];
          row = child; // its children come after it
        }
      call.emitted[s * call.most_tokens + n++] = call.choices[first + row];
      call.n_emitted[s] = n;
      call.last_rows[s] = row;
    }
  }

  void advance(const advance_call& call) override {
    for (int row = 0; row < call.n_rows; ++row) {
      call.history[row * call.history_width + call.places[row]] = call.choices[row];
      call.tokens[row] = call.choices[row];
      ++call.places[row];
    }
  }

  step record(const step& queue) override { return queue; }

private:
  static void turn(const store_call& call, int row, int head) {
    const int half = call.kv.head_dim / 2;
    float* at = head_of(call, row, head);
    norm_head(at, half, call.q_norm, call.epsilon);
    const std::ptrdiff_t angle = angle_of(call, row);
    for (int i = 0; i < half; ++i) {
      const auto pair = turned(at, i, half, call.cosines[angle + i], call.sines[angle + i]);
      at[i] = pair.first;
      at[i + half] = pair.second;
    }
  }

  static std::ptrdiff_t angle_of(const store_call& call, int row) {
    return std::ptrdiff_t{call.angles ? call.angles[row] : call.rows.places[row]} * (call.kv.head_dim / 2);
  }

  static float* head_of(const store_call& call, int row, int head) {
    return call.qkv +
           (std::ptrdiff_t{row} * (call.n_heads + 2 * call.kv.n_kv_heads) + head) * call.kv.head_dim;
  }

  static void store(const store_call& call, int row, int line) {
    const int half = call.kv.head_dim / 2;
    const int place = call.rows.places[row];
    const int page = call.rows.page_table[std::ptrdiff_t{line} * call.rows.table_width + place / page_tokens];
    const std::ptrdiff_t angle = angle_of(call, row);
    for (int head = 0; head < call.kv.n_kv_heads; ++head) {
      const std::ptrdiff_t to = page * call.kv.page_stride +
                                (std::ptrdiff_t{head} * page_tokens + place % page_tokens) * call.kv.head_dim;
      const float* raw = head_of(call, row, call.n_heads + head);
      std::vector<float> key(raw, raw + call.kv.head_dim);
      norm_head(key.data(), half, call.k_norm, call.epsilon);
      const float* value = head_of(call, row, call.n_heads + call.kv.n_kv_heads + head);
      for (int i = 0; i < half; ++i) {
        const auto pair = turned(key.data(), i, half, call.cosines[angle + i], call.sines[angle + i]);
        call.kv.keys[to + i] = half_of(pair.first);
        call.kv.keys[to + half + i] = half_of(pair.second);
        call.kv.values[to + i] = half_of(value[i]);
        call.kv.values[to + half + i] = half_of(value[half + i]);
      }
    }
  }
};

} // namespace

std::unique_ptr<backend> make_host_backend() { return std::make_unique<host_backend>(); }

} // namespace souffleur::cuda
