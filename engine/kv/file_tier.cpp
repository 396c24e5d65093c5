#include "engine/kv/file_tier.hpp"

#include "engine/kv/page_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_map>

namespace souffleur {

namespace {

constexpr auto max_claimed_bytes = std::size_t{64} << 20;
constexpr auto n_segments = std::uint64_t{16}; ///< that fill the tier: what goes at once is a small part
constexpr auto segment_prefix = std::string_view{"segment-"};

/// A format as the name of a folder.
std::string folder_name(std::string_view format) {
  auto name = std::string{};
  for (const auto letter : format) {
    const auto is_plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                          (letter >= '0' && letter <= '9') || letter == '-';
    name += is_plain ? letter : '_';
  }
  return name;
}

std::string segment_name(std::uint64_t number) {
  const auto digits = std::to_string(number);
  return std::string(segment_prefix).append(10 - std::min<std::size_t>(digits.size(), 10), '0') + digits;
}

std::optional<std::uint64_t> segment_number(const std::string& name) {
  const auto digits = name.starts_with(segment_prefix) ? name.substr(segment_prefix.size()) : std::string{};
  if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoull(digits);
}

/// Held as long as the process lives, however it ends.
class folder_lock {
public:
  explicit folder_lock(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR)),
        held_(descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) {}
  ~folder_lock() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;
  bool held() const { return held_; }

private:
  int descriptor_;
  bool held_;
};

struct segment {
  std::shared_ptr<page_file> file;
  std::vector<page_name> names;
  std::uint64_t last_used = 0;
};

struct place {
  std::uint64_t segment = 0;
  int record = 0;
  bool operator==(const place&) const = default;
};

} // namespace

struct file_tier::core {
  explicit core(file_tier_options chosen)
      : options(std::move(chosen)),
        folder(options.folder / folder_name(options.format)), layout{options.page_bytes,
                                                                     name_of_text(options.format)},
        claims(std::make_shared<claim_book>(
            std::max<std::size_t>(1, max_claimed_bytes / std::max<std::size_t>(1, options.page_bytes)))) {}

  std::string path_of(std::uint64_t number) const { return (folder / segment_name(number)).string(); }
  std::uint64_t record_bytes() const {
    return page_file::size_bytes(layout, 1) - page_file::size_bytes(layout, 0);
  }
  /// Records after which a segment is complete.
  int capacity() const {
    const auto share = options.max_bytes / n_segments;
    const auto header = page_file::size_bytes(layout, 0);
    return share <= header
               ? 1
               : static_cast<int>(std::clamp<std::uint64_t>((share - header) / record_bytes(), 1, 1 << 30));
  }

  std::string use_folder();
  void load();
  void load_segment(std::uint64_t number);
  bool make_room(std::uint64_t n_bytes);
  void forget(const segment& dropped, std::uint64_t number);
  std::shared_ptr<page_file> segment_with_room();

  file_tier_options options;
  std::filesystem::path folder;
  page_layout layout;
  std::shared_ptr<claim_book> claims;
  std::optional<folder_lock> lock;

  mutable std::mutex mutex;                  ///< of all below; not held while pages are read or written
  std::map<std::uint64_t, segment> segments; ///< by number; pages are added to the last one
  std::unordered_map<page_name, place, page_name_hash> index;
  file_tier_counters counters;
  std::uint64_t clock = 0;
};

std::string file_tier::core::use_folder() {
  auto error = std::error_code{};
  std::filesystem::create_directories(options.folder, error);
  if (!error && std::filesystem::create_directory(folder, error)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  if (error) {
    return folder.string() + " cannot be made: " + error.message();
  }
  lock.emplace(folder / "lock");
  if (!lock->held()) {
    return folder.string() + (errno == EWOULDBLOCK
                                  ? " is in use by another process"
                                  : std::string(" cannot be locked: ") + std::strerror(errno));
  }
  return {};
}

void file_tier::core::load() {
  auto numbers = std::vector<std::uint64_t>{};
  auto error = std::error_code{};
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (const auto number = segment_number(entry.path().filename().string())) {
      numbers.push_back(*number);
    }
  }
  std::ranges::sort(numbers);
  for (const auto number : numbers) {
    load_segment(number);
  }
  make_room(0);
}

void file_tier::core::load_segment(std::uint64_t number) {
  auto file = page_file::open(path_of(number), layout);
  if (!file) {
    auto error = std::error_code{};
    std::filesystem::remove(path_of(number), error);
    ++counters.n_damaged_pages; // of them; nobody knows how many there were
    return;
  }
  auto& loaded = segments[number];
  loaded.file = std::move(*file);
  loaded.last_used = ++clock;
  counters.n_bytes += loaded.file->size_bytes();
  for (auto record = 0; record < loaded.file->n_records(); ++record) {
    if (const auto page = loaded.file->page_at(record)) {
      loaded.names.push_back(page->name);
      index[page->name] = {number, record};
    } else {
      ++counters.n_damaged_pages;
    }
  }
  counters.n_pages = index.size();
}

/// Drops the segments that have been of no use for longest until `n_bytes` more fit.
bool file_tier::core::make_room(std::uint64_t n_bytes) {
  auto held = std::unique_lock(mutex);
  while (counters.n_bytes + n_bytes > options.max_bytes) {
    const auto victim =
        std::ranges::min_element(segments, {}, [](const auto& s) { return s.second.last_used; });
    if (victim == segments.end()) {
      return false;
    }
    auto file = victim->second.file;
    forget(victim->second, victim->first);
    segments.erase(victim);
    held.unlock();
    file->remove();
    file.reset(); // the system gives its room back, which takes its time
    held.lock();
  }
  return true;
}

void file_tier::core::forget(const segment& dropped, std::uint64_t number) {
  const auto n_before = index.size();
  for (const auto& name : dropped.names) {
    if (const auto at = index.find(name); at != index.end() && at->second.segment == number) {
      index.erase(at);
    }
  }
  counters.n_displaced_pages += n_before - index.size();
  counters.n_pages = index.size();
  counters.n_bytes -= dropped.file->size_bytes();
}

/// The last segment, or a new one if that is full. Null if the system refuses.
std::shared_ptr<page_file> file_tier::core::segment_with_room() {
  auto held = std::unique_lock(mutex);
  if (!segments.empty() && segments.rbegin()->second.file->n_records() < capacity()) {
    return segments.rbegin()->second.file;
  }
  const auto number = segments.empty() ? 1 : segments.rbegin()->first + 1;
  held.unlock();
  auto made = page_file::create(path_of(number), layout);
  if (!made) {
    return nullptr;
  }
  held.lock();
  auto& added = segments[number];
  added.file = std::move(*made);
  added.last_used = ++clock;
  counters.n_bytes += added.file->size_bytes();
  return added.file;
}

file_tier::file_tier(std::unique_ptr<core> core) : core_(std::move(core)) {}
file_tier::~file_tier() = default;

result<std::shared_ptr<file_tier>> file_tier::open(const file_tier_options& options) {
  auto made = std::make_unique<core>(options);
  if (const auto least = page_file::size_bytes(made->layout, 1); options.max_bytes < least) {
    return failure{"a page takes " + std::to_string(least) + " bytes, more than the " +
                   std::to_string(options.max_bytes) + " that the files may have"};
  }
  if (auto why = made->use_folder(); !why.empty()) {
    return failure{std::move(why)};
  }
  made->load();
  return std::shared_ptr<file_tier>(new file_tier(std::move(made)));
}

std::size_t file_tier::page_bytes() const { return core_->layout.page_bytes; }

std::vector<named_page> file_tier::names_of(std::string_view salt, std::span<const page_key> keys) const {
  return name_pages(root_name(core_->options.format, salt), keys);
}

int file_tier::n_stored(std::span<const named_page> pages) const {
  const auto held = std::lock_guard(core_->mutex);
  const auto missing = std::ranges::find_if_not(
      pages, [&](const named_page& page) { return core_->index.contains(page.name); });
  return static_cast<int>(missing - pages.begin());
}

page_claim_ptr file_tier::claim(const named_page& page) {
  {
    const auto held = std::lock_guard(core_->mutex);
    if (const auto at = core_->index.find(page.name); at != core_->index.end()) {
      core_->segments.at(at->second.segment).last_used = ++core_->clock;
      return nullptr;
    }
  }
  return core_->claims->claim(page);
}

bool file_tier::put(const named_page& page, std::span<const std::byte> bytes) {
  if (n_stored(std::span(&page, 1)) == 1) {
    return false;
  }
  const auto n_bytes = core_->record_bytes() + page_file::size_bytes(core_->layout, 0);
  const auto file = core_->make_room(n_bytes) ? core_->segment_with_room() : nullptr;
  const auto is_written = file && file->append(page, bytes);
  const auto held = std::lock_guard(core_->mutex);
  if (!is_written) {
    ++core_->counters.n_refused_pages;
    return false;
  }
  auto& last = *core_->segments.rbegin();
  last.second.names.push_back(page.name);
  last.second.last_used = ++core_->clock;
  core_->index[page.name] = {last.first, file->n_records() - 1};
  core_->counters.n_bytes += core_->record_bytes();
  core_->counters.n_pages = core_->index.size();
  ++core_->counters.n_written_pages;
  return true;
}

page_bytes_ptr file_tier::get(const named_page& page) {
  auto file = std::shared_ptr<page_file>{};
  auto at = place{};
  {
    const auto held = std::lock_guard(core_->mutex);
    const auto found = core_->index.find(page.name);
    if (found == core_->index.end()) {
      return nullptr;
    }
    at = found->second;
    auto& from = core_->segments.at(at.segment);
    from.last_used = ++core_->clock;
    file = from.file;
  }
  const auto bytes = std::make_shared_for_overwrite<std::byte[]>(page_bytes());
  const auto is_whole = file->read(at.record, page, std::span(bytes.get(), page_bytes()));
  const auto held = std::lock_guard(core_->mutex);
  if (is_whole) {
    ++core_->counters.n_hit_pages;
    return bytes;
  }
  if (const auto found = core_->index.find(page.name); found != core_->index.end() && found->second == at) {
    core_->index.erase(found);
    core_->counters.n_pages = core_->index.size();
    ++core_->counters.n_damaged_pages;
  }
  return nullptr;
}

void file_tier::note_skipped(std::size_t n) {
  const auto held = std::lock_guard(core_->mutex);
  core_->counters.n_skipped_pages += n;
}

file_tier_counters file_tier::counters() const {
  const auto held = std::lock_guard(core_->mutex);
  return core_->counters;
}

} // namespace souffleur
