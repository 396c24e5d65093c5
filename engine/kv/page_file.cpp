#include "engine/kv/page_file.hpp"

#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <type_traits>
#include <unistd.h>

namespace souffleur {

namespace {

constexpr auto file_magic = std::uint64_t{0x31454C4946564B53}; // "SKVFILE1": the digit is the version
constexpr auto record_magic = std::uint64_t{0x3145474150564B53};

struct file_header {
  std::uint64_t magic = file_magic;
  std::uint64_t page_bytes = 0;
  std::uint64_t tokens = page_tokens;
  page_name format;
  std::array<std::uint64_t, 10> reserved{};
  std::uint64_t checksum = 0; ///< of all before it
};

struct record_header {
  std::uint64_t magic = record_magic;
  page_name name;
  page_name parent;
  page_key tokens{};
  std::uint64_t bytes_checksum = 0;
  std::uint64_t reserved = 0;
  std::uint64_t checksum = 0; ///< of all before it
};

static_assert(sizeof(file_header) == 128 && std::has_unique_object_representations_v<file_header>);
static_assert(sizeof(record_header) == 128 && std::has_unique_object_representations_v<record_header>);

template <class Header>
std::uint64_t checksum_of(const Header& header) {
  return XXH3_64bits(&header, sizeof header - sizeof header.checksum);
}

file_header header_of(const page_layout& layout) {
  auto header = file_header{.page_bytes = layout.page_bytes, .format = layout.format};
  header.checksum = checksum_of(header);
  return header;
}

std::uint64_t record_bytes(const page_layout& layout) { return sizeof(record_header) + layout.page_bytes; }

/// Reads or writes all of `parts` at `offset`, whatever the system does at once.
template <class Call>
bool transfer(Call call, int descriptor, std::span<iovec> parts, std::uint64_t offset) {
  while (!parts.empty()) {
    const auto n = call(descriptor, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return false;
    }
    offset += static_cast<std::uint64_t>(n);
    auto left = static_cast<std::size_t>(n);
    while (!parts.empty() && left >= parts.front().iov_len) {
      left -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (!parts.empty()) {
      parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + left;
      parts.front().iov_len -= left;
    }
  }
  return true;
}

iovec part_of(const void* bytes, std::size_t n_bytes) { return {const_cast<void*>(bytes), n_bytes}; }

failure system_failure(const std::string& path, const char* what) {
  return failure{path + ": " + what + ": " + std::strerror(errno)};
}

} // namespace

page_file::page_file(std::string path, int descriptor, const page_layout& layout, int n_records)
    : path_(std::move(path)), descriptor_(descriptor), layout_(layout), n_records_(n_records) {}

page_file::~page_file() { ::close(descriptor_); }

std::uint64_t page_file::size_bytes(const page_layout& layout, int n_records) {
  return sizeof(file_header) + static_cast<std::uint64_t>(n_records) * record_bytes(layout);
}

result<std::unique_ptr<page_file>> page_file::create(const std::string& path, const page_layout& layout) {
  const auto descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0) {
    return system_failure(path, "cannot be created");
  }
  auto made = std::unique_ptr<page_file>(new page_file(path, descriptor, layout, 0));
  const auto header = header_of(layout);
  auto parts = std::array{part_of(&header, sizeof header)};
  if (!transfer(::pwritev, descriptor, parts, 0)) {
    const auto why = system_failure(path, "cannot be written");
    made->remove();
    return why;
  }
  return made;
}

result<std::unique_ptr<page_file>> page_file::open(const std::string& path, const page_layout& layout) {
  const auto descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) {
    return system_failure(path, "cannot be opened");
  }
  auto opened = std::unique_ptr<page_file>(new page_file(path, descriptor, layout, 0));
  auto header = file_header{};
  auto parts = std::array{part_of(&header, sizeof header)};
  const auto expected = header_of(layout);
  if (!transfer(::preadv, descriptor, parts, 0) || std::memcmp(&header, &expected, sizeof header) != 0) {
    return failure{path + ": its header is damaged or another format's"};
  }
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    return system_failure(path, "cannot be read");
  }
  const auto n_bytes = static_cast<std::uint64_t>(status.st_size) - sizeof header;
  opened->n_records_ = static_cast<int>(n_bytes / record_bytes(layout));
  if (n_bytes % record_bytes(layout) != 0 &&
      ::ftruncate(descriptor, static_cast<off_t>(opened->size_bytes())) != 0) {
    return system_failure(path, "its torn end cannot be cut off");
  }
  return opened;
}

std::optional<named_page> page_file::page_at(int record) const {
  auto header = record_header{};
  auto parts = std::array{part_of(&header, sizeof header)};
  if (!transfer(::preadv, descriptor_, parts, size_bytes(layout_, record)) || header.magic != record_magic ||
      header.checksum != checksum_of(header)) {
    return std::nullopt;
  }
  return named_page{.name = header.name, .parent = header.parent, .tokens = header.tokens};
}

bool page_file::read(int record, const named_page& page, std::span<std::byte> bytes) const {
  auto header = record_header{};
  auto parts = std::array{part_of(&header, sizeof header), part_of(bytes.data(), bytes.size())};
  return transfer(::preadv, descriptor_, parts, size_bytes(layout_, record)) &&
         page == named_page{.name = header.name, .parent = header.parent, .tokens = header.tokens} &&
         header.bytes_checksum == XXH3_64bits(bytes.data(), bytes.size());
}

bool page_file::append(const named_page& page, std::span<const std::byte> bytes) {
  auto header = record_header{.name = page.name,
                              .parent = page.parent,
                              .tokens = page.tokens,
                              .bytes_checksum = XXH3_64bits(bytes.data(), bytes.size())};
  header.checksum = checksum_of(header);
  auto parts = std::array{part_of(&header, sizeof header), part_of(bytes.data(), bytes.size())};
  if (!transfer(::pwritev, descriptor_, parts, size_bytes())) {
    // If this fails, too, the next append writes over what is there, and open() would cut it off.
    [[maybe_unused]] const auto cut = ::ftruncate(descriptor_, static_cast<off_t>(size_bytes()));
    return false;
  }
  ++n_records_;
  return true;
}

void page_file::remove() const { ::unlink(path_.c_str()); }

} // namespace souffleur
