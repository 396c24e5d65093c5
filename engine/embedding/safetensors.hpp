// Reader of safetensors model files, memory-mapped and bounds-checked.
#pragma once

#include "engine/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Element formats, under the file format's names.
enum class element_type : std::uint8_t { BOOL, U8, I8, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64 };

std::string_view to_string(element_type type);
std::size_t bytes_of(element_type type);

/// A tensor inside the mapped file. Valid as long as its safetensors_file lives; may not be aligned.
struct safetensors_tensor {
  std::string name;
  element_type type = element_type::F32;
  std::vector<std::int64_t> shape; ///< row-major: the last dimension is contiguous
  std::span<const std::byte> data;
};

class safetensors_file {
public:
  /// Maps the file and checks its header: lengths, offsets, shapes and types, and that the tensors fill the
  /// rest of the file without overlap; the error names the path and the field.
  static result<std::shared_ptr<const safetensors_file>> open(const std::filesystem::path& path);
  /// The same over bytes that the caller keeps alive (tests, fuzzing).
  static result<std::shared_ptr<const safetensors_file>> parse(std::span<const std::byte> bytes);
  virtual ~safetensors_file() = default;

  /// In the order of their data.
  const std::vector<safetensors_tensor>& tensors() const { return tensors_; }
  const safetensors_tensor* find_tensor(std::string_view name) const;
  /// Gives a mapped tensor's memory back to the system; it is read again when next used.
  virtual void release_pages(const safetensors_tensor& /*tensor*/) const {}

protected:
  safetensors_file() = default;
  std::vector<safetensors_tensor> tensors_;
};

} // namespace souffleur
