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
std::size_t n_supers_of(int n_in) { return (n_blocks_of(n_in) + super_blocks - 1) / super_blocks; }

/// The same places as weight_group has, to write to.
struct group_writer {
  std::uint8_t* quants;
  std::uint8_t* scales;
  std::uint8_t* supers;
};

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

void put_quantised_row(tensor_type type, const std::uint8_t* row, int n_in, int lane,
                       const group_writer& to) {
  const auto format = packed_format_of(type);
  const auto shape = block_shape_of(type);
  const int n_inside = shape.n_values / block_values;
  for (int b = 0; b < n_in / block_values; ++b) {
    const auto block =
        read_quant_block(type, row + static_cast<std::ptrdiff_t>(b / n_inside) * shape.n_bytes, b % n_inside);
    put_quants(format, block, lane, to.quants + static_cast<std::ptrdiff_t>(b) * format.quant_bytes());
    put_scales(format, block, lane, to.scales + static_cast<std::ptrdiff_t>(b) * format.scale_bytes());
    if (format.is_super && b % super_blocks == 0) {
      auto* supers = to.supers + static_cast<std::ptrdiff_t>(b / super_blocks) * format.super_bytes();
      put_half(supers, lane, block.super_scale);
      if (format.has_min)
        put_half(supers, rows_per_group + lane, block.super_min);
    }
  }
}

void put_real_row(const packed_format& format, const std::uint8_t* row, int n_in, int lane,
                  std::uint8_t* to) {
  const auto n_bytes = static_cast<std::size_t>(format.bits / 8);
  for (int k = 0; k < n_in; ++k)
    std::memcpy(to +
                    (static_cast<std::size_t>(k) * rows_per_group + static_cast<std::size_t>(lane)) * n_bytes,
                row + static_cast<std::size_t>(k) * n_bytes, n_bytes);
}

float real_at(const packed_format& format, const std::uint8_t* group, int lane, int k) {
  const int at = k * rows_per_group + lane;
  if (format.bits == 32) {
    float value = 0;
    std::memcpy(&value, group + 4 * static_cast<std::ptrdiff_t>(at), 4);
    return value;
  }
  const auto bits = half_at(group, at);
  return format.is_brain ? std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16) : half_to_float(bits);
}

} // namespace

std::size_t packed_matrix::group_bytes_of(tensor_type type, int n_in) {
  const auto format = packed_format_of(type);
  const auto n =
      format.is_real
          ? static_cast<std::size_t>(n_in) * rows_per_group * static_cast<std::size_t>(format.bits) / 8
          : n_blocks_of(n_in) * static_cast<std::size_t>(format.quant_bytes() + format.scale_bytes()) +
                n_supers_of(n_in) * static_cast<std::size_t>(format.super_bytes());
  return (n + cache_line_bytes - 1) / cache_line_bytes * cache_line_bytes;
}

std::size_t packed_matrix::packed_bytes(tensor_type type, int n_out, int n_in) {
  return group_bytes_of(type, n_in) * static_cast<std::size_t>((n_out + rows_per_group - 1) / rows_per_group);
}

weight_group packed_matrix::group(int index) const {
  const auto format = packed_format_of(type_);
  const auto* quants =
      reinterpret_cast<const std::uint8_t*>(data_.get()) + static_cast<std::size_t>(index) * group_bytes();
  const auto n_blocks = n_blocks_of(n_in_);
  const auto* scales = quants + n_blocks * static_cast<std::size_t>(format.quant_bytes());
  return {quants, scales, scales + n_blocks * static_cast<std::size_t>(format.scale_bytes()),
          static_cast<int>(n_blocks)};
}

packed_matrix packed_matrix::pack(tensor_type type, std::span<const std::byte> source, int n_out, int n_in,
                                  weight_arena* arena) {
  packed_matrix w;
  w.n_out_ = n_out;
  w.n_in_ = n_in;
  w.type_ = type;
  w.data_ = arena ? arena->allocate(w.size_bytes()) : weight_arena{w.size_bytes()}.allocate(w.size_bytes());
  const auto format = packed_format_of(type);
  const auto shape = block_shape_of(type);
  const auto row_bytes =
      static_cast<std::size_t>(n_in / shape.n_values) * static_cast<std::size_t>(shape.n_bytes);
  for (int o = 0; o < n_out; ++o) {
    const auto* row =
        reinterpret_cast<const std::uint8_t*>(source.data()) + static_cast<std::size_t>(o) * row_bytes;
    const auto from = w.group(o / rows_per_group);
    const group_writer to{const_cast<std::uint8_t*>(from.quants), const_cast<std::uint8_t*>(from.scales),
                          const_cast<std::uint8_t*>(from.supers)};
    if (format.is_real)
      put_real_row(format, row, n_in, o % rows_per_group, to.quants);
    else
      put_quantised_row(type, row, n_in, o % rows_per_group, to);
  }
  return w;
}

void unpack_row(const packed_matrix& w, int row, float* out) {
  const auto format = packed_format_of(w.type());
  const auto group = w.group(row / rows_per_group);
  const int lane = row % rows_per_group;
  if (format.is_real) {
    for (int k = 0; k < w.n_in(); ++k)
      out[k] = real_at(format, group.quants, lane, k);
    return;
  }
  const int n_mins = format.n_scales * rows_per_group;
  for (int b = 0; b < group.n_blocks; ++b) {
    const auto* quants = group.quants + static_cast<std::ptrdiff_t>(b) * format.quant_bytes();
    const auto* scales = group.scales + static_cast<std::ptrdiff_t>(b) * format.scale_bytes();
    const auto* supers = group.supers + static_cast<std::ptrdiff_t>(b / super_blocks) * format.super_bytes();
    const auto factor = [&](int at, int super_at) {
      return format.is_super ? half_to_float(half_at(supers, super_at)) *
                                   static_cast<float>(static_cast<std::int8_t>(scales[at]))
                             : half_to_float(half_at(scales, at));
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
