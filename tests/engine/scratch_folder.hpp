// A folder that goes with the test.
#pragma once

#include <filesystem>
#include <stdlib.h>
#include <string>
#include <unistd.h>

namespace souffleur::testing {

class scratch_folder {
public:
  explicit scratch_folder(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    auto name = (parent / "souffleur_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~scratch_folder() { std::filesystem::remove_all(path_); }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

/// For a scratch folder whose files need not reach a disk: properties open and close many.
inline std::filesystem::path memory_or_disk() {
  const std::filesystem::path memory{"/dev/shm"};
  return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

} // namespace souffleur::testing
