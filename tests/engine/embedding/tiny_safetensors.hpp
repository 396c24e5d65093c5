// Writes small safetensors files in memory.
#pragma once

#include "engine/embedding/safetensors.hpp"

#include <cstring>
#include <string>
#include <vector>

namespace souffleur::testing {

inline std::vector<std::byte> bytes_of_text(std::string_view text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return {p, p + text.size()};
}

/// A file of this header and data, whatever they are.
inline std::vector<std::byte> safetensors_of(const std::string& header, std::span<const std::byte> data) {
  std::vector<std::byte> file(8);
  const std::uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  const auto text = bytes_of_text(header);
  file.insert(file.end(), text.begin(), text.end());
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

/// Tensors one after the other.
class tiny_safetensors {
public:
  tiny_safetensors& tensor(const std::string& name, element_type type, const std::vector<std::int64_t>& shape,
                           std::span<const std::byte> data) {
    std::string sizes;
    for (const auto size : shape)
      sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
    header_ += (header_.empty() ? "" : ",") + ("\"" + name + "\":{\"dtype\":\"") +
               std::string{to_string(type)} + "\",\"shape\":[" + sizes + "],\"data_offsets\":[" +
               std::to_string(data_.size()) + "," + std::to_string(data_.size() + data.size()) + "]}";
    data_.insert(data_.end(), data.begin(), data.end());
    return *this;
  }
  tiny_safetensors& floats(const std::string& name, const std::vector<std::int64_t>& shape,
                           const std::vector<float>& values) {
    return tensor(name, element_type::F32, shape, std::as_bytes(std::span{values}));
  }

  std::string header() const { return "{" + header_ + "}"; }
  const std::vector<std::byte>& data() const { return data_; }
  std::vector<std::byte> bytes() const { return safetensors_of(header(), data_); }

private:
  std::string header_;
  std::vector<std::byte> data_;
};

} // namespace souffleur::testing
