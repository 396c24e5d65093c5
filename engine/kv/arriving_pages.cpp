#include "engine/kv/arriving_pages.hpp"

#include <xxhash.h>

#include <cstring>

namespace souffleur {

std::uint64_t arriving_pages::checksum_of(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string arriving_pages::arrive(std::uint64_t owner, const page_name& format, const page_name& name,
                                   std::uint64_t checksum, std::string_view bytes) {
  if (format != format_name()) {
    return "its keys and values are not this model's (another model, quantisation or format)";
  }
  if (bytes.size() != options_.page_bytes || checksum_of(bytes) != checksum) {
    return "a page was damaged on its way";
  }
  const auto copy = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  const auto lock = std::lock_guard(mutex_);
  if (pages_.contains(name)) {
    return {};
  }
  if ((pages_.size() + 1) * options_.page_bytes > options_.max_bytes) {
    return "there is no room for more pages that wait";
  }
  pages_[name] = {copy, owner};
  owned_[owner].insert(name);
  return {};
}

void arriving_pages::forget(std::uint64_t owner) {
  const auto lock = std::lock_guard(mutex_);
  if (const auto owned = owned_.extract(owner)) {
    for (const auto& name : owned.mapped()) {
      pages_.erase(name);
    }
  }
}

void arriving_pages::forget_all() {
  const auto lock = std::lock_guard(mutex_);
  pages_.clear();
  owned_.clear();
}

std::size_t arriving_pages::n_waiting() const {
  const auto lock = std::lock_guard(mutex_);
  return pages_.size();
}

int arriving_pages::n_stored(std::span<const named_page> pages) const {
  auto n = 0;
  for (const auto& page : pages) {
    {
      const auto lock = std::lock_guard(mutex_);
      if (pages_.contains(page.name)) {
        ++n;
        continue;
      }
    }
    if (!below_ || below_->n_stored({&page, 1}) == 0) {
      break;
    }
    ++n;
  }
  return n;
}

page_bytes_ptr arriving_pages::get(const named_page& page) {
  {
    const auto lock = std::lock_guard(mutex_);
    if (const auto found = pages_.find(page.name); found != pages_.end()) {
      auto bytes = std::move(found->second.bytes);
      const auto owned = owned_.find(found->second.owner);
      owned->second.erase(page.name);
      if (owned->second.empty()) {
        owned_.erase(owned);
      }
      pages_.erase(found);
      return bytes;
    }
  }
  return below_ ? below_->get(page) : nullptr;
}

} // namespace souffleur
