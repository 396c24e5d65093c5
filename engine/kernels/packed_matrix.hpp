// Weights repacked for the kernels.
#pragma once

#include "engine/gguf.hpp"
#include "engine/kernels/weight_arena.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace souffleur {

constexpr int rows_per_group = 16; ///< output rows that are interleaved
constexpr int rows_per_pair = 2 * rows_per_group;
constexpr int block_values = 32; ///< inputs that share a scale, or two
constexpr int super_blocks = 8;  ///< blocks that share a super scale, in formats that have one

/// How a tensor type is kept. Every weight value is kept exactly: w = scale * (q - zero) + min, or a float.
struct packed_format {
  int bits = 32;         ///< of a quant; of a float: 16 or 32
  int n_scales = 1;      ///< scales in a block
  bool is_super = false; ///< scale = super scale (half) * scale (int8); else scales are halves. Mins alike.
  bool has_min = false;
  int zero = 0;
  bool is_real = false;
  bool is_brain = false; ///< a 16-bit float is bfloat16, not half

  bool operator==(const packed_format&) const = default;

  /// One block of a group: low nibbles (or whole bytes), then the bits above in planes.
  constexpr int quant_bytes() const {
    return is_real ? block_values * rows_per_group * bits / 8 : block_values * rows_per_group / 8 * bits;
  }
  constexpr int scale_bytes() const {
    return is_real ? 0 : n_scales * rows_per_group * (is_super ? 1 : 2) * (has_min ? 2 : 1);
  }
  /// Per `super_blocks` blocks.
  constexpr int super_bytes() const { return is_super ? rows_per_group * 2 * (has_min ? 2 : 1) : 0; }
};

constexpr packed_format packed_format_of(tensor_type type) {
  switch (type) {
  case tensor_type::q4_0:
    return {.bits = 4, .zero = 8};
  case tensor_type::q4_1:
    return {.bits = 4, .has_min = true};
  case tensor_type::q5_0:
    return {.bits = 5, .zero = 16};
  case tensor_type::q5_1:
    return {.bits = 5, .has_min = true};
  case tensor_type::q8_0:
    return {.bits = 8, .zero = 128};
  case tensor_type::q2_k:
    return {.bits = 4, .n_scales = 2, .is_super = true, .has_min = true};
  case tensor_type::q3_k:
    return {.bits = 4, .n_scales = 2, .is_super = true, .zero = 4};
  case tensor_type::q4_k:
    return {.bits = 4, .is_super = true, .has_min = true};
  case tensor_type::q5_k:
    return {.bits = 5, .is_super = true, .has_min = true};
  case tensor_type::q6_k:
    return {.bits = 6, .n_scales = 2, .is_super = true, .zero = 32};
  case tensor_type::f16:
    return {.bits = 16, .is_real = true};
  case tensor_type::bf16:
    return {.bits = 16, .is_real = true, .is_brain = true};
  default:
    return {.bits = 32, .is_real = true};
  }
}

/// Two groups of sixteen output rows, which a kernel reads together and front to back: the hardware sees one
/// stream and fetches it ahead. It is a row of units of one block (32 inputs k), or of eight that share a
/// super scale. A unit has
///   supers   of the first group and then of the second: 16 halves, then 16 for the mins. Then for each block
///   quants   of both groups: chunks of 4 inputs x 16 rows = 64 bytes, byte 4 r + k % 4. 8 bits: eight
///            chunks. Else four vectors, chunk 2 g in the low nibbles of vector g and chunk 2 g + 1 in the
///            high ones; then for 5 bits a vector whose bit c is the fifth bit of chunk c, for 6 bits two
///            whose bit pair c % 4 belongs to chunk c, the second for chunks 4 to 7;
///   scales   of both groups: (n_scales, 16), then mins of the same shape; halves, or int8 times the super
///            scale.
/// A real pair is (n_in, 2, 16) floats.
struct weight_pair {
  const std::uint8_t* units = nullptr;
  int n_blocks = 0;
};

/// The sizes of a pair's parts: of one group, where it is not said that they are the pair's.
struct pair_layout {
  int unit_blocks = 1;
  int quant_bytes = 0;
  int scale_bytes = 0;
  int super_bytes = 0;
  int block_bytes = 0; ///< of the pair; whole cache lines, as the next
  int unit_bytes = 0;  ///< of the pair
};

constexpr pair_layout pair_layout_of(const packed_format& format) {
  const int n = format.is_super ? super_blocks : 1;
  const int block_bytes = 2 * (format.quant_bytes() + format.scale_bytes());
  return {n,
          format.quant_bytes(),
          format.scale_bytes(),
          format.super_bytes(),
          block_bytes,
          2 * format.super_bytes() + n * block_bytes};
}

/// Where the parts of a group's block begin in its pair.
struct block_place {
  std::ptrdiff_t quants = 0;
  std::ptrdiff_t scales = 0;
  std::ptrdiff_t supers = 0;
};

/// Always inlined, since kernels call it, too, whose instructions must not get into a copy for all.
__attribute__((always_inline)) constexpr block_place place_of_block(const pair_layout& layout, int group,
                                                                    int block) {
  const auto unit = static_cast<std::ptrdiff_t>(block / layout.unit_blocks) * layout.unit_bytes;
  const auto both = unit + 2 * layout.super_bytes + block % layout.unit_blocks * layout.block_bytes;
  return {both + group * layout.quant_bytes, both + 2 * layout.quant_bytes + group * layout.scale_bytes,
          unit + group * layout.super_bytes};
}

/// Weights W (n_out, n_in), in pairs of groups.
class packed_matrix {
public:
  packed_matrix() = default;
  /// `source`: n_out rows of GGUF blocks; the memory comes from `arena` if there is one. REQUIRES: n_in is a
  /// multiple of the type's block.
  static packed_matrix pack(tensor_type type, std::span<const std::byte> source, int n_out, int n_in,
                            weight_arena* arena = nullptr);
  /// The rows of `gate`, then those of `up`, n_out each; a pair has a group of one beside the same group of
  /// the other.
  static packed_matrix pack_gated(tensor_type type, std::span<const std::byte> gate,
                                  std::span<const std::byte> up, int n_out, int n_in,
                                  weight_arena* arena = nullptr);
  static std::size_t packed_bytes(tensor_type type, int n_out, int n_in);

  int n_out() const { return n_out_; } ///< of gate and up together
  int n_in() const { return n_in_; }
  tensor_type type() const { return type_; }
  bool is_gated() const { return is_gated_; }
  int n_pairs() const;
  std::size_t pair_bytes() const { return pair_bytes_of(type_, n_in_); }
  std::size_t size_bytes() const { return pair_bytes() * static_cast<std::size_t>(n_pairs()); }
  weight_pair pair(int index) const;

  struct place {
    int pair = 0;
    int group = 0; ///< of the pair
    int lane = 0;  ///< of the group
  };
  place place_of(int row) const;

private:
  static std::size_t pair_bytes_of(tensor_type type, int n_in);
  void allocate(weight_arena* arena);
  void put_rows(std::span<const std::byte> source, int first_row, int n_rows);

  int n_out_ = 0;
  int n_in_ = 0;
  tensor_type type_ = tensor_type::f32;
  bool is_gated_ = false;
  std::shared_ptr<std::byte[]> data_;
};

/// Row `row` of W, exactly as the GGUF has it; (n_in,).
void unpack_row(const packed_matrix& weights, int row, float* out);

} // namespace souffleur
