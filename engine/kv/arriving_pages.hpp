// Pages that another process has computed and sent, until a sequence here takes them into its own.
#pragma once

#include "engine/kv/page_tier.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace souffleur {

struct arriving_pages_options {
  std::string format; ///< language_model::page_format()
  std::size_t page_bytes = 0;
  std::size_t max_bytes = 0; ///< of pages that wait
};

/// In memory, before a tier of files if there is one; nothing is written here. Whoever gets a page takes it
/// out. Pages belong to whom they were sent for, and go with it.
///
/// Invariants: never more than max_bytes; a page is found under the name that its sender computed from its
/// own format, so what was computed otherwise is found by nobody. Any thread may call.
class arriving_pages final : public page_tier {
public:
  arriving_pages(arriving_pages_options options, std::shared_ptr<page_tier> below)
      : options_(std::move(options)), below_(std::move(below)) {}

  /// Empty if the page waits now for whoever needs it, or is here already; else why not. `checksum`: of the
  /// bytes, as checksum_of() has it.
  std::string arrive(std::uint64_t owner, const page_name& format, const page_name& name,
                     std::uint64_t checksum, std::string_view bytes);
  void forget(std::uint64_t owner);
  void forget_all();
  std::size_t n_waiting() const;

  /// As a sender names what its pages are.
  page_name format_name() const { return name_of_text(options_.format); }
  static std::uint64_t checksum_of(std::string_view bytes);

  std::size_t page_bytes() const override { return options_.page_bytes; }
  std::vector<named_page> names_of(std::string_view salt, std::span<const page_key> keys) const override {
    return name_pages(root_name(options_.format, salt), keys);
  }
  int n_stored(std::span<const named_page> pages) const override;
  page_claim_ptr claim(const named_page& page) override { return below_ ? below_->claim(page) : nullptr; }
  bool put(const named_page& page, std::span<const std::byte> bytes) override {
    return below_ && below_->put(page, bytes);
  }
  page_bytes_ptr get(const named_page& page) override;
  void note_skipped(std::size_t n) override {
    if (below_)
      below_->note_skipped(n);
  }

private:
  struct arrived_page {
    page_bytes_ptr bytes;
    std::uint64_t owner = 0;
  };

  arriving_pages_options options_;
  std::shared_ptr<page_tier> below_; ///< null: there is none
  mutable std::mutex mutex_;
  std::unordered_map<page_name, arrived_page, page_name_hash> pages_;
  std::unordered_map<std::uint64_t, std::unordered_set<page_name, page_name_hash>> owned_;
};

} // namespace souffleur
