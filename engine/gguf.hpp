// Reader of GGUF model files (versions 2 and 3, little-endian), memory-mapped and bounds-checked.
#pragma once

#include "engine/result.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace souffleur {

/// Tensor element formats, with GGML's numbers.
enum class tensor_type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30
};

/// Elements per block and bytes per block of a format; {0, 0} if the format is not supported.
struct block_shape {
  int n_values = 0;
  int n_bytes = 0;
};
block_shape block_shape_of(tensor_type type);
std::string_view to_string(tensor_type type);

/// A tensor inside the mapped file. Valid as long as its gguf_file lives.
struct gguf_tensor {
  std::string name;
  tensor_type type = tensor_type::f32;
  std::vector<std::int64_t> shape; ///< GGML order: shape[0] is the contiguous dimension
  std::span<const std::byte> data;

  std::int64_t n_values() const;
};

/// Arrays are kept as the one element type they have in the file, widened.
using gguf_value =
    std::variant<std::uint64_t, std::int64_t, double, bool, std::string, std::vector<std::uint64_t>,
                 std::vector<std::int64_t>, std::vector<double>, std::vector<bool>, std::vector<std::string>>;

class gguf_file {
public:
  /// Maps the file and checks every count, length, offset and type; the error names the field.
  static result<std::shared_ptr<const gguf_file>> open(const std::filesystem::path& path);
  /// The same over bytes that the caller keeps alive (tests, fuzzing).
  static result<std::shared_ptr<const gguf_file>> parse(std::span<const std::byte> bytes);
  virtual ~gguf_file() = default;

  const std::map<std::string, gguf_value, std::less<>>& metadata() const { return metadata_; }
  const std::vector<gguf_tensor>& tensors() const { return tensors_; }
  const gguf_tensor* find_tensor(std::string_view name) const;

  /// Null if the key is absent or of another type. Integers convert between signed and unsigned if they fit.
  const std::string* find_string(std::string_view key) const;
  const std::vector<std::string>* find_strings(std::string_view key) const;
  result<std::int64_t> integer(std::string_view key) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback) const;
  double number_or(std::string_view key, double fallback) const;
  bool boolean_or(std::string_view key, bool fallback) const;
  std::vector<std::int64_t> integers_or_empty(std::string_view key) const;

  /// Gives the memory of a mapped file's tensors back to the system; they are read again when next used.
  virtual void release_pages() const {}
  std::vector<double> numbers_or_empty(std::string_view key) const; ///< of an array of floats

protected:
  gguf_file() = default;
  std::map<std::string, gguf_value, std::less<>> metadata_;
  std::vector<gguf_tensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> tensor_index_;
};

} // namespace souffleur
