// A file as bytes in memory.
#pragma once

#include "engine/result.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace souffleur {

/// Mapped to be read; the bytes live as long as this.
class mapped_file {
public:
  /// The error names the path. An empty file has no bytes.
  static result<std::shared_ptr<const mapped_file>> open(const std::filesystem::path& path);
  ~mapped_file();
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  /// Gives the memory of some of the bytes back to the system, whole pages of it; they are read again when
  /// next used.
  void release_pages(std::span<const std::byte> part) const;

private:
  mapped_file() = default;
  std::span<const std::byte> bytes_;
};

} // namespace souffleur
