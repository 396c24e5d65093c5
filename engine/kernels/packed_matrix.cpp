#include "engine/kernels/packed_matrix.hpp"

#include "engine/dequantize.hpp"
#include "engine/kernels/quant_block.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace souffleur {

namespace {

constexpr std::size_t cache_line_bytes = 64;
constexpr int vector_bytes = 64; ///< 4 inputs x 16 rows

std::size_t n_blocks_of(int n_in) {
  return static_cast<std::size_t>((n_in + block_values - 1) / block_values);
}

void put_half(std::uint8_t* at, int index, std::uint16_t bits) { std::memcpy(at + 2 * index, &bits, 2); }

std::uint16_t half_at(const std::uint8_t* at, int index) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, at + 2 * index, 2);
  return bits;
}

void put_quants(const packed_format& format, const quant_block& from, int lane, std::uint8_t* block) {
  for (int i = 0; i < block_values; ++i) {
    const int chunk = i / 4;
    const int at = 4 * lane + i % 4;
    if (format.bits == 8) {
      block[chunk * vector_bytes + at] = from.q[i];
      continue;
    }
    block[(chunk / 2) * vector_bytes + at] |=
        static_cast<std::uint8_t>((from.q[i] & 15) << (4 * (chunk % 2)));
    std::uint8_t* planes = block + 4 * vector_bytes;
    if (format.bits == 5)
      planes[at] |= static_cast<std::uint8_t>((from.q[i] >> 4) << chunk);
    else if (format.bits == 6)
      planes[(chunk / 4) * vector_bytes + at] |=
          static_cast<std::uint8_t>((from.q[i] >> 4) << (2 * (chunk % 4)));
  }
}

int quant_at(const packed_format& format, const std::uint8_t* block, int lane, int i) {
  const int chunk = i / 4;
  const int at = 4 * lane + i % 4;
  if (format.bits == 8)
    return block[chunk * vector_bytes + at];
  const int low = (block[(chunk / 2) * vector_bytes + at] >> (4 * (chunk % 2))) & 15;
  const std::uint8_t* planes = block + 4 * vector_bytes;
  if (format.bits == 5)
    return low | (((planes[at] >> chunk) & 1) << 4);
  if (format.bits == 6)
    return low | (((planes[(chunk / 4) * vector_bytes + at] >> (2 * (chunk % 4))) & 3) << 4);
  return low;
}

void put_scales(const packed_format& format, const quant_block& from, int lane, std::uint8_t* scales) {
  const int n = format.n_scales * rows_per_group;
  for (int g = 0; g < format.n_scales; ++g) {
    const int at = g * rows_per_group + lane;
    if (format.is_super) {
      scales[at] = static_cast<std::uint8_t>(from.scales[g]);
      if (format.has_min)
        scales[n + at] = static_cast<std::uint8_t>(from.mins[g]);
    } else {
      put_half(scales, at, from.scales[g]);
      if (format.has_min)
        put_half(scales, n + at, from.mins[g]);
    }
  }
}

void put_quantised_row(tensor_type type, const std::uint8_t* row, int n_in, const packed_matrix::place& place,
                       std::uint8_t* pair) {
  const auto format = packed_format_of(type);
  const auto shape = block_shape_of(type);
  const auto layout = pair_layout_of(format);
  const int n_inside = shape.n_values / block_values;
  for (int b = 0; b < n_in / block_values; ++b) {
    const auto block =
        read_quant_block(type, row + static_cast<std::ptrdiff_t>(b / n_inside) * shape.n_bytes, b % n_inside);
    const auto at = place_of_block(layout, place.group, b);
    put_quants(format, block, place.lane, pair + at.quants);
    put_scales(format, block, place.lane, pair + at.scales);
    if (format.is_super && b % super_blocks == 0) {
      put_half(pair + at.supers, place.lane, block.super_scale);
      if (format.has_min)
        put_half(pair + at.supers, rows_per_group + place.lane, block.super_min);
    }
  }
}

/// Of input k in a real pair, in values.
std::size_t real_index(const packed_matrix::place& place, int k) {
  return static_cast<std::size_t>(k) * rows_per_pair +
         static_cast<std::size_t>(place.group * rows_per_group + place.lane);
}

void put_real_row(const packed_format& format, const std::uint8_t* row, int n_in,
                  const packed_matrix::place& place, std::uint8_t* pair) {
  const auto n_bytes = static_cast<std::size_t>(format.bits / 8);
  for (int k = 0; k < n_in; ++k)
    std::memcpy(pair + real_index(place, k) * n_bytes, row + static_cast<std::size_t>(k) * n_bytes, n_bytes);
}

float real_at(const packed_format& format, const std::uint8_t* pair, std::size_t index) {
  if (format.bits == 32) {
    float value = 0;
    std::memcpy(&value, pair + 4 * index, 4);
    return value;
  }
  const auto bits = half_at(pair, static_cast<int>(index));
  return format.is_brain ? std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16) : half_to_float(bits);
}

int n_pairs_of(int n_rows) { return (n_rows + rows_per_pair - 1) / rows_per_pair; }

} // namespace

std::size_t packed_matrix::pair_bytes_of(tensor_type type, int n_in) {
  const auto format = packed_format_of(type);
  const auto layout = pair_layout_of(format);
  if (!format.is_real)
    return n_blocks_of(n_in) / static_cast<std::size_t>(layout.unit_blocks) *
           static_cast<std::size_t>(layout.unit_bytes);
  const auto n = static_cast<std::size_t>(n_in) * rows_per_pair * static_cast<std::size_t>(format.bits) / 8;
  return (n + cache_line_bytes - 1) / cache_line_bytes * cache_line_bytes;
}

std::size_t packed_matrix::packed_bytes(tensor_type type, int n_out, int n_in) {
  return pair_bytes_of(type, n_in) * static_cast<std::size_t>(n_pairs_of(n_out));
}

int packed_matrix::n_pairs() const {
  return is_gated_ ? (n_out_ / 2 + rows_per_group - 1) / rows_per_group : n_pairs_of(n_out_);
}

weight_pair packed_matrix::pair(int index) const {
  return {reinterpret_cast<const std::uint8_t*>(data_.get()) + static_cast<std::size_t>(index) * pair_bytes(),
          static_cast<int>(n_blocks_of(n_in_))};
}

packed_matrix::place packed_matrix::place_of(int row) const {
  const int lane = row % rows_per_group;
  if (!is_gated_)
    return {row / rows_per_pair, row / rows_per_group % 2, lane};
  const int is_up = row < n_out_ / 2 ? 0 : 1;
  const int own = row - is_up * (n_out_ / 2);
  return {own / rows_per_group, is_up, own % rows_per_group};
}

void packed_matrix::allocate(weight_arena* arena) {
  data_ = arena ? arena->allocate(size_bytes()) : weight_arena{size_bytes()}.allocate(size_bytes());
}

void packed_matrix::put_rows(std::span<const std::byte> source, int first_row, int n_rows) {
  const auto format = packed_format_of(type_);
  const auto shape = block_shape_of(type_);
  const auto row_bytes =
      static_cast<std::size_t>(n_in_ / shape.n_values) * static_cast<std::size_t>(shape.n_bytes);
  for (int i = 0; i < n_rows; ++i) {
    const auto* row =
        reinterpret_cast<const std::uint8_t*>(source.data()) + static_cast<std::size_t>(i) * row_bytes;
    const auto to = place_of(first_row + i);
    auto* pair =
        reinterpret_cast<std::uint8_t*>(data_.get()) + static_cast<std::size_t>(to.pair) * pair_bytes();
    if (format.is_real)
      put_real_row(format, row, n_in_, to, pair);
    else
      put_quantised_row(type_, row, n_in_, to, pair);
  }
}

packed_matrix packed_matrix::pack(tensor_type type, std::span<const std::byte> source, int n_out, int n_in,
                                  weight_arena* arena) {
  packed_matrix w;
  w.n_out_ = n_out;
  w.n_in_ = n_in;
  w.type_ = type;
  w.allocate(arena);
  w.put_rows(source, 0, n_out);
  return w;
}

packed_matrix packed_matrix::pack_gated(tensor_type type, std::span<const std::byte> gate,
                                        std::span<const std::byte> up, int n_out, int n_in,
                                        weight_arena* arena) {
  packed_matrix w;
  w.n_out_ = 2 * n_out;
  w.n_in_ = n_in;
  w.type_ = type;
  w.is_gated_ = true;
  w.allocate(arena);
  w.put_rows(gate, 0, n_out);
  w.put_rows(up, n_out, n_out);
  return w;
}

void unpack_row(const packed_matrix& w, int row, float* out) {
  const auto format = packed_format_of(w.type());
  const auto place = w.place_of(row);
  const auto pair = w.pair(place.pair);
  const int lane = place.lane;
  if (format.is_real) {
    for (int k = 0; k < w.n_in(); ++k)
      out[k] = real_at(format, pair.units, real_index(place, k));
    return;
  }
  const auto layout = pair_layout_of(format);
  const int n_mins = format.n_scales * rows_per_group;
  for (int b = 0; b < pair.n_blocks; ++b) {
    const auto at = place_of_block(layout, place.group, b);
    const auto* quants = pair.units + at.quants;
    const auto* scales = pair.units + at.scales;
    const auto* supers = pair.units + at.supers;
    const auto factor = [&](int index, int super_index) {
      return format.is_super ? half_to_float(half_at(supers, super_index)) *
                                   static_cast<float>(static_cast<std::int8_t>(scales[index]))
                             : half_to_float(half_at(scales, index));
    };
    const int n_each = block_values / format.n_scales;
    for (int g = 0; g < format.n_scales; ++g) {
      const float scale = factor(g * rows_per_group + lane, lane);
      const float min =
          format.has_min ? factor(n_mins + g * rows_per_group + lane, rows_per_group + lane) : 0.0F;
      for (int i = g * n_each; i < (g + 1) * n_each; ++i)
        out[b * block_values + i] =
            scale * static_cast<float>(quant_at(format, quants, lane, i) - format.zero) + min;
    }
  }
}

} // namespace souffleur
