// Attention of a tile of queries over pages, for whichever f32x16 is included before: FlashAttention (Dao et
// al. 2022) with the online softmax of Milakov and Gimelshein (2018), in blocks of 64 positions. What a query
// gets depends on nothing but itself and the positions it sees, never on the tile's other queries.
#pragma once

#include "engine/kernels/kernel_table.hpp"
#include "engine/kernels/simd/indices.hpp"

namespace souffleur {
namespace {

static_assert(page_tokens == lanes);
constexpr int block_pages = attention_block_tokens / page_tokens;
constexpr float nothing_seen = -__builtin_inff();

template <kv_type T>
SOUFFLEUR_INLINE f32x16 load_values(const std::byte* base, int index) {
  if constexpr (T == kv_type::f32)
    return f32x16::load(reinterpret_cast<const float*>(base) + index);
  else if constexpr (T == kv_type::f16)
    return f32x16::load_half(reinterpret_cast<const std::uint16_t*>(base) + index);
  else
    return f32x16::load_int8(reinterpret_cast<const std::int8_t*>(base) + index);
}

/// Asks for the cache lines that begin in [at, at + n_bytes) of `p`, which is aligned to one. Pages of a
/// sequence lie apart, where no hardware guesses: values are asked for while scores are computed and the next
/// keys while values are added up, a few lines at a time, since a core has some two dozen misses under way
/// and waits when it wants more.
SOUFFLEUR_INLINE void fetch(const std::byte* p, std::ptrdiff_t at, std::ptrdiff_t n_bytes) {
  for (std::ptrdiff_t line = (at + 63) & ~std::ptrdiff_t{63}; line < at + n_bytes; line += 64)
    __builtin_prefetch(p + line);
}

using block_scores = float[max_tile_queries][attention_block_tokens];

constexpr int power_of_two_up_to(int n) { return n < 2 ? 1 : n < 4 ? 2 : 4; }

/// sums += q · K over the dimensions [from, to). As many bytes of `values` are asked for as are read of K.
template <kv_type T, int Queries, int Pages>
SOUFFLEUR_INLINE void add_products(const float* q, const std::byte* const* keys,
                                   const std::byte* const* values, int from, int to,
                                   f32x16 (&sums)[Queries][Pages]) {
  constexpr std::ptrdiff_t step_bytes = page_tokens * bytes_per_value(T);
  for (int d = from; d < to; ++d) {
    f32x16 k[Pages];
#pragma GCC unroll 4
    for (int p = 0; p < Pages; ++p) {
      k[p] = load_values<T>(keys[p], d * page_tokens);
      fetch(values[p], d * step_bytes, step_bytes);
    }
#pragma GCC unroll 12
    for (int j = 0; j < Queries; ++j)
#pragma GCC unroll 4
      for (int p = 0; p < Pages; ++p)
        sums[j][p] = fma(f32x16::all(q[d * Queries + j]), k[p], sums[j][p]);
  }
}

/// Scores of all queries with the keys of `Pages` pages; (Queries, attention_block_tokens) at `scores`.
template <kv_type T, int Queries, int Pages>
SOUFFLEUR_INLINE void score_pages(const attention_tile& tile, const page_id* pages, float* scores) {
  const kv_layer& layer = *tile.layer;
  const std::byte* keys[Pages];
  const std::byte* values[Pages];
  for (int p = 0; p < Pages; ++p) {
    keys[p] = layer.keys + layer.head_offset(pages[p], tile.kv_head);
    values[p] = layer.values + layer.head_offset(pages[p], tile.kv_head);
  }
  constexpr int step = T == kv_type::int8 ? key_scale_values : max_head_dim;
  for (int from = 0; from < layer.head_dim; from += step) {
    const int to = from + step < layer.head_dim ? from + step : layer.head_dim;
    f32x16 sums[Queries][Pages];
    for (auto& query : sums)
      for (auto& sum : query)
        sum = f32x16::zero();
    add_products<T, Queries, Pages>(tile.q, keys, values, from, to, sums);
    for (int p = 0; p < Pages; ++p) {
      f32x16 scale = f32x16::all(1.0F);
      if constexpr (T == kv_type::int8)
        scale = f32x16::load(layer.key_scales_of(pages[p], tile.kv_head) + from / step * page_tokens);
      for (int j = 0; j < Queries; ++j) {
        float* to_score = scores + j * attention_block_tokens + p * page_tokens;
        if constexpr (T != kv_type::int8)
          sums[j][p].store(to_score);
        else if (from == 0)
          (sums[j][p] * scale).store(to_score);
        else
          fma(sums[j][p], scale, f32x16::load(to_score)).store(to_score);
      }
    }
  }
}

/// totals = totals * fade + weights · V over the block's positions [from, to), `Slices` x 16 values from `d`
/// on. With the first slices, the keys of the `n_next` pages after the block are asked for.
template <kv_type T, int Queries, int Slices>
SOUFFLEUR_INLINE void add_values(const attention_tile& tile, const page_id* pages, int n_next, int from,
                                 int to, int d, const block_scores& weights, const float* fades,
                                 attention_state& state) {
  const kv_layer& layer = *tile.layer;
  f32x16 sums[Queries][Slices];
#pragma GCC unroll 12
  for (int j = 0; j < Queries; ++j)
#pragma GCC unroll 4
    for (int s = 0; s < Slices; ++s)
      sums[j][s] = f32x16::load(state.totals + j * layer.head_dim + d + s * lanes) * f32x16::all(fades[j]);
  const std::ptrdiff_t row_bytes = layer.head_dim * static_cast<std::ptrdiff_t>(bytes_per_value(T));
  for (int t = from; t < to;) {
    const int slot = t & (page_tokens - 1);
    const int n = to - t < page_tokens - slot ? to - t : page_tokens - slot;
    const std::byte* row = layer.values + layer.head_offset(pages[t / page_tokens], tile.kv_head) +
                           slot * row_bytes + d * static_cast<std::ptrdiff_t>(bytes_per_value(T));
    const float* weight = weights[0] + t;
    const int page = t / page_tokens;
    const std::byte* next = d == 0 && page < n_next
                                ? layer.keys + layer.head_offset(pages[block_pages + page], tile.kv_head)
                                : nullptr;
    std::ptrdiff_t at = slot * row_bytes;
    for (const float* end = weight + n; weight != end; ++weight, row += row_bytes, at += row_bytes) {
      if (next)
        fetch(next, at, row_bytes);
      f32x16 v[Slices];
#pragma GCC unroll 4
      for (int s = 0; s < Slices; ++s)
        v[s] = load_values<T>(row, s * lanes);
#pragma GCC unroll 12
      for (int j = 0; j < Queries; ++j)
#pragma GCC unroll 4
        for (int s = 0; s < Slices; ++s)
          sums[j][s] = fma(f32x16::all(weight[j * attention_block_tokens]), v[s], sums[j][s]);
    }
    t += n;
  }
#pragma GCC unroll 12
  for (int j = 0; j < Queries; ++j)
#pragma GCC unroll 4
    for (int s = 0; s < Slices; ++s)
      sums[j][s].store(state.totals + j * layer.head_dim + d + s * lanes);
}

/// What a query sees of a block: positions [first, last) from its beginning; empty unless first < last.
struct visible_part {
  int first, last;
};

SOUFFLEUR_INLINE void hide(const visible_part& seen, float value, float* scores) {
  for (int t = 0; t < seen.first; ++t)
    scores[t] = value;
  for (int t = seen.last; t < attention_block_tokens; ++t)
    scores[t] = value;
}

/// Raises the query's largest score by those it sees; returns how far, as an exponent: 0 or less.
SOUFFLEUR_INLINE float raise_largest(const visible_part& seen, float* scores, float& largest) {
  hide(seen, nothing_seen, scores);
  f32x16 most = f32x16::load(scores);
  for (int p = 1; p < block_pages; ++p)
    most = max(most, f32x16::load(scores + p * lanes));
  const float in_block = largest_of(most);
  const float before = largest;
  if (in_block > before)
    largest = in_block;
  return before - largest;
}

/// Turns a query's scores into weights beside its largest, those of what it does not see into 0.
SOUFFLEUR_INLINE void weigh_scores(const visible_part& seen, float largest, float fade, float* scores,
                                   float* masses) {
  f32x16 weights[block_pages];
  for (int p = 0; p < block_pages; ++p) {
    weights[p] = exp_of(f32x16::load(scores + p * lanes) - f32x16::all(largest));
    weights[p].store(scores + p * lanes);
  }
  if (seen.first > 0 || seen.last < attention_block_tokens) {
    hide(seen, 0, scores);
    for (int p = 0; p < block_pages; ++p)
      weights[p] = f32x16::load(scores + p * lanes);
  }
  fma(f32x16::load(masses), f32x16::all(fade), (weights[0] + weights[1]) + (weights[2] + weights[3]))
      .store(masses);
}

template <kv_type T, int Queries>
void attend_block(const attention_tile& tile, int begin, int end, attention_state& state) {
  constexpr int at_once = power_of_two_up_to(score_registers / Queries);
  constexpr int slices = power_of_two_up_to(value_registers / Queries);
  const page_id* pages = tile.pages + begin / page_tokens;
  block_scores scores;
  visible_part seen[Queries];
  int from = attention_block_tokens;
  int to = 0;
  int last_position = 0;
  for (int j = 0; j < Queries; ++j) {
    seen[j].first = tile.first[j] > begin ? tile.first[j] - begin : 0;
    seen[j].last = tile.end[j] < end ? tile.end[j] - begin : end - begin;
    last_position = tile.end[j] > last_position ? tile.end[j] : last_position;
    if (seen[j].first < seen[j].last) {
      from = seen[j].first < from ? seen[j].first : from;
      to = seen[j].last > to ? seen[j].last : to;
    }
  }
  if (from >= to)
    return;
  int page = from / page_tokens;
  const int end_page = (to + page_tokens - 1) / page_tokens;
  for (; page + at_once <= end_page; page += at_once)
    score_pages<T, Queries, at_once>(tile, pages + page, scores[0] + page * page_tokens);
  for (; page < end_page; ++page)
    score_pages<T, Queries, 1>(tile, pages + page, scores[0] + page * page_tokens);
  float fades[lanes] = {}; // exponents at first
  for (int j = 0; j < Queries; ++j)
    if (seen[j].first < seen[j].last)
      fades[j] = raise_largest(seen[j], scores[j], state.largest[j]);
  exp_of(f32x16::load(fades)).store(fades);
  for (int j = 0; j < Queries; ++j) {
    if (seen[j].first < seen[j].last)
      weigh_scores(seen[j], state.largest[j], fades[j], scores[j], state.masses[j]);
    else
      hide({from, from}, 0, scores[j]);
    if constexpr (T == kv_type::int8)
      for (int p = from / page_tokens; p < end_page; ++p)
        (f32x16::load(scores[j] + p * lanes) *
         f32x16::load(tile.layer->value_scales_of(pages[p], tile.kv_head)))
            .store(scores[j] + p * lanes);
  }
  const int n_after = (last_position - begin + page_tokens - 1) / page_tokens - block_pages;
  const int n_next = n_after < block_pages ? n_after : block_pages;
  int d = 0;
  for (; d + slices * lanes <= tile.layer->head_dim; d += slices * lanes)
    add_values<T, Queries, slices>(tile, pages, n_next, from, to, d, scores, fades, state);
  for (; d < tile.layer->head_dim; d += lanes)
    add_values<T, Queries, 1>(tile, pages, n_next, from, to, d, scores, fades, state);
}

template <int Queries>
void attend_queries(const attention_tile& tile, int begin, int end, attention_state& state) {
  for (int j = 0; j < Queries; ++j) {
    state.largest[j] = nothing_seen;
    f32x16::zero().store(state.masses[j]);
  }
  for (int i = 0; i < Queries * tile.layer->head_dim; i += lanes)
    f32x16::zero().store(state.totals + i);
  for (int at = begin; at < end; at += attention_block_tokens) {
    const int block_end = at + attention_block_tokens < end ? at + attention_block_tokens : end;
    switch (tile.layer->type) {
    case kv_type::f32:
      attend_block<kv_type::f32, Queries>(tile, at, block_end, state);
      break;
    case kv_type::f16:
      attend_block<kv_type::f16, Queries>(tile, at, block_end, state);
      break;
    case kv_type::int8:
      attend_block<kv_type::int8, Queries>(tile, at, block_end, state);
    }
  }
}

template <int... Sizes>
void attend_sizes(const attention_tile& tile, int begin, int end, attention_state& state) {
  ((tile.n_queries == Sizes ? attend_queries<Sizes>(tile, begin, end, state) : void()), ...);
}

void merge(const attention_tile& tile, const attention_state& more, attention_state& state) {
  const int head_dim = tile.layer->head_dim;
  for (int j = 0; j < tile.n_queries; ++j) {
    if (more.largest[j] == nothing_seen)
      continue;
    float factors[2][lanes] = {}; // of what there was, of what is new
    const float largest = state.largest[j] > more.largest[j] ? state.largest[j] : more.largest[j];
    if (state.largest[j] != nothing_seen)
      exp_of(f32x16::all(state.largest[j] - largest)).store(factors[0]);
    exp_of(f32x16::all(more.largest[j] - largest)).store(factors[1]);
    const f32x16 old_factor = f32x16::all(factors[0][0]);
    const f32x16 new_factor = f32x16::all(factors[1][0]);
    const auto add = [&](float* to, const float* from) __attribute__((always_inline)) {
      fma(f32x16::load(to), old_factor, f32x16::load(from) * new_factor).store(to);
    };
    for (int d = 0; d < head_dim; d += lanes)
      add(state.totals + j * head_dim + d, more.totals + j * head_dim + d);
    add(state.masses[j], more.masses[j]);
    state.largest[j] = largest;
  }
}

void finish(const attention_tile& tile, const attention_state& state, float* out) {
  const int head_dim = tile.layer->head_dim;
  for (int j = 0; j < tile.n_queries; ++j) {
    const f32x16 inverse = f32x16::all(1.0F / sum_of(f32x16::load(state.masses[j])));
    for (int d = 0; d < head_dim; d += lanes)
      (f32x16::load(state.totals + j * head_dim + d) * inverse).store(out + j * head_dim + d);
  }
}

/// The largest of x (n,) becomes 127: sets the scale, returns what to multiply with.
SOUFFLEUR_INLINE float int8_factor(const float* x, int n, float& scale) {
  f32x16 largest = f32x16::zero();
  for (int d = 0; d < n; d += lanes)
    largest = max(largest, abs(f32x16::load(x + d)));
  const float most = largest_of(largest);
  scale = most / 127.0F;
  return most > 1e-30F ? 127.0F / most : 0.0F;
}

template <kv_type T, class Value>
SOUFFLEUR_INLINE void store_values(f32x16 x, Value* to) {
  if constexpr (T == kv_type::f32)
    x.store(to);
  else if constexpr (T == kv_type::f16)
    x.store_half(to);
  else
    x.store_int8(to);
}

template <kv_type T, class Value>
void write_head(const kv_layer& layer, page_id page, int head, int slot, const float* key,
                const float* value) {
  const int n = layer.head_dim;
  auto* keys = reinterpret_cast<Value*>(layer.keys + layer.head_offset(page, head)) + slot;
  auto* values = reinterpret_cast<Value*>(layer.values + layer.head_offset(page, head)) + slot * n;
  float key_factor = 1;
  float value_factor = 1;
  if constexpr (T == kv_type::int8)
    value_factor = int8_factor(value, n, layer.value_scales_of(page, head)[slot]);
  for (int d = 0; d < n; d += lanes) {
    if constexpr (T == kv_type::int8)
      if (d % key_scale_values == 0)
        key_factor = int8_factor(key + d, n - d < key_scale_values ? n - d : key_scale_values,
                                 layer.key_scales_of(page, head)[d / key_scale_values * page_tokens + slot]);
    Value sixteen[lanes];
    store_values<T>(f32x16::load(key + d) * f32x16::all(key_factor), sixteen);
    for (int i = 0; i < lanes; ++i)
      keys[(d + i) * page_tokens] = sixteen[i];
    store_values<T>(f32x16::load(value + d) * f32x16::all(value_factor), values + d);
  }
}

void write_kv(const kv_layer& layer, page_id page, int slot, const float* keys, const float* values) {
  for (int h = 0; h < layer.n_kv_heads; ++h) {
    const float* key = keys + h * layer.head_dim;
    const float* value = values + h * layer.head_dim;
    switch (layer.type) {
    case kv_type::f32:
      write_head<kv_type::f32, float>(layer, page, h, slot, key, value);
      break;
    case kv_type::f16:
      write_head<kv_type::f16, std::uint16_t>(layer, page, h, slot, key, value);
      break;
    case kv_type::int8:
      write_head<kv_type::int8, std::int8_t>(layer, page, h, slot, key, value);
    }
  }
}

} // namespace
} // namespace souffleur
