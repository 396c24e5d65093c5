#include "engine/cuda/device_matrix.hpp"

#include "engine/kernels/quant_block.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

namespace souffleur::cuda {

namespace {

constexpr int rows_worth_a_thread = 256;

std::size_t rounded_up(std::size_t n) { return (n + 15) / 16 * 16; }

/// Where planes begin, in bytes, and where they end.
struct plane_places {
  std::size_t high, scales, supers, end;
};

plane_places places_of(tensor_type type, int n_out, int n_in) {
  const auto format = packed_format_of(type);
  const auto n_rows = static_cast<std::size_t>(n_out);
  if (format.is_real) {
    const auto n =
        rounded_up(n_rows * static_cast<std::size_t>(n_in) * static_cast<std::size_t>(format.bits) / 8);
    return {n, n, n, n};
  }
  const auto sizes = plane_sizes_of(format);
  const auto n_blocks = (n_rows + tile_outputs - 1) / tile_outputs * tile_outputs *
                        static_cast<std::size_t>(n_in / block_values);
  const auto plane = [](std::size_t n, int bytes) { return rounded_up(n * static_cast<std::size_t>(bytes)); };
  plane_places at{};
  at.high = plane(n_blocks, sizes.quants);
  at.scales = at.high + plane(n_blocks, sizes.high);
  at.supers = at.scales + plane(n_blocks, sizes.scales);
  at.end = at.supers + plane(n_blocks / super_blocks, sizes.supers);
  return at;
}

void put_nibbles(const quant_block& block, std::uint8_t* to) {
  for (int i = 0; i < 16; ++i)
    to[i] = static_cast<std::uint8_t>((block.q[i] & 15) | ((block.q[i + 16] & 15) << 4));
}

void put_high_bits(const quant_block& block, int bits, std::uint8_t* to) {
  for (int i = 0; i < block_values; ++i) {
    const int chunk = i / 4;
    const int above = block.q[i] >> 4;
    if (bits == 5)
      to[i % 4] |= static_cast<std::uint8_t>(above << chunk);
    else
      to[4 * (chunk / 4) + i % 4] |= static_cast<std::uint8_t>(above << (2 * (chunk % 4)));
  }
}

void put_factors(const packed_format& format, const std::array<std::uint16_t, 2>& factors, std::uint8_t* to) {
  for (int g = 0; g < format.n_scales; ++g) {
    if (format.is_super)
      to[g] = static_cast<std::uint8_t>(factors[g]);
    else
      std::memcpy(to + 2 * g, &factors[g], 2);
  }
}

/// Row `row` of the planes that begin at `to`.
void pack_row(tensor_type type, const std::uint8_t* source, int row, int n_blocks, const plane_places& planes,
              std::uint8_t* to) {
  const auto format = packed_format_of(type);
  const auto sizes = plane_sizes_of(format);
  const auto shape = block_shape_of(type);
  const int n_inside = shape.n_values / block_values;
  for (int b = 0; b < n_blocks; ++b) {
    const auto block = read_quant_block(
        type, source + static_cast<std::ptrdiff_t>(b / n_inside) * shape.n_bytes, b % n_inside);
    const auto place = block_place(row, b, n_blocks);
    auto* quants = to + place * sizes.quants;
    if (format.bits == 8)
      std::ranges::transform(block.q, quants, [](std::uint8_t q) { return q ^ 0x80U; }); // int8 again
    else
      put_nibbles(block, quants);
    if (sizes.high > 0)
      put_high_bits(block, format.bits, to + planes.high + place * sizes.high);
    auto* scales = to + planes.scales + place * sizes.scales;
    put_factors(format, block.scales, scales);
    if (format.has_min)
      put_factors(format, block.mins, scales + sizes.scales / 2);
    if (!format.is_super || b % super_blocks != 0)
      continue;
    auto* supers =
        to + planes.supers + block_place(row, b / super_blocks, n_blocks / super_blocks) * sizes.supers;
    std::memcpy(supers, &block.super_scale, 2);
    if (format.has_min)
      std::memcpy(supers + 2, &block.super_min, 2);
  }
}

} // namespace

bool has_device_layout(tensor_type type) {
  return std::ranges::find(device_types, type) != std::end(device_types);
}

std::size_t device_bytes(tensor_type type, int n_out, int n_in) { return places_of(type, n_out, n_in).end; }

device_matrix matrix_at(const std::uint8_t* at, tensor_type type, int n_out, int n_in) {
  const auto places = places_of(type, n_out, n_in);
  return {at, at + places.high, at + places.scales, at + places.supers, type, n_out, n_in};
}

void pack_rows(const device_matrix& shape, std::span<const std::byte> source, int n_rows,
               const row_sequence& rows, std::uint8_t* to) {
  const bool is_real = packed_format_of(shape.type).is_real;
  const auto places = places_of(shape.type, shape.n_out, shape.n_in);
  const auto* first = reinterpret_cast<const std::uint8_t*>(source.data());
  const auto source_bytes = source.size() / static_cast<std::size_t>(n_rows);
  const auto pack = [&](int i) {
    const auto* from = first + static_cast<std::size_t>(i) * source_bytes;
    const int row = rows.first + i * rows.step;
    if (is_real)
      std::memcpy(to + static_cast<std::size_t>(row) * source_bytes, from, source_bytes);
    else
      pack_row(shape.type, from, row, shape.n_in / block_values, places, to);
  };
  const int n_threads =
      std::clamp(n_rows / rows_worth_a_thread, 1, static_cast<int>(std::thread::hardware_concurrency()));
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < n_threads; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = thread; i < n_rows; i += n_threads)
        pack(i);
    });
}

} // namespace souffleur::cuda
