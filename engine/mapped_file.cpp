#include "engine/mapped_file.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace souffleur {

result<std::shared_ptr<const mapped_file>> mapped_file::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return failure{path.string() + ": " + std::strerror(errno)};
  struct stat status {};
  const bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const auto n_bytes = regular ? static_cast<std::size_t>(status.st_size) : 0;
  void* mapping = nullptr;
  if (n_bytes > 0)
    mapping = mmap(nullptr, n_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int why = errno;
  ::close(descriptor);
  if (!regular)
    return failure{path.string() + ": is no regular file"};
  if (mapping == MAP_FAILED)
    return failure{path.string() + ": cannot be mapped: " + std::strerror(why)};
  std::shared_ptr<mapped_file> file{new mapped_file};
  file->bytes_ = {static_cast<const std::byte*>(mapping), n_bytes};
  return std::shared_ptr<const mapped_file>{std::move(file)};
}

mapped_file::~mapped_file() {
  if (!bytes_.empty())
    munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void mapped_file::release_pages(std::span<const std::byte> part) const {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end)
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

} // namespace souffleur
