#include "engine/process_memory.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace souffleur {

namespace {

struct mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool is_read_only_file = false;
  bool is_clean = false; ///< no page differs from the file
};

/// Not a device, whose mapping could not be brought back.
bool is_file(const std::string& path) {
  std::error_code error;
  return path.starts_with('/') && std::filesystem::is_regular_file(path, error);
}

std::vector<mapping> mappings_of_this_process() {
  std::vector<mapping> all;
  std::ifstream smaps{"/proc/self/smaps"};
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words{line};
    std::string first, permissions, offset, device, inode, path;
    words >> first >> permissions;
    if (first == "Anonymous:") {
      if (!all.empty())
        all.back().is_clean = permissions == "0";
    } else if (first.find('-') != std::string::npos && first.back() != ':') {
      words >> offset >> device >> inode >> path;
      const auto dash = first.find('-');
      all.push_back({std::stoull(first.substr(0, dash), nullptr, 16),
                     std::stoull(first.substr(dash + 1), nullptr, 16),
                     permissions.find('w') == std::string::npos && is_file(path)});
    }
  }
  return all;
}

} // namespace

std::size_t resident_bytes() {
  std::size_t n_pages = 0;
  std::size_t n_resident = 0;
  std::ifstream{"/proc/self/statm"} >> n_pages >> n_resident;
  return n_resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void give_back_unused_memory() {
  malloc_trim(0);
  for (const auto& one : mappings_of_this_process())
    if (one.is_read_only_file && one.is_clean)
      madvise(reinterpret_cast<void*>(one.begin), one.end - one.begin, MADV_DONTNEED);
}

} // namespace souffleur
