// Pages of keys and values in files: what was found again in memory is found again after it was evicted, and
// after a restart.
#pragma once

#include "engine/kv/kv_summary.hpp"
#include "engine/kv/page_tier.hpp"
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

struct file_tier_options {
  std::filesystem::path folder; ///< of all models; each format has a folder of its own in it
  std::uint64_t max_bytes = 0;  ///< of this format's files
  std::string format;           ///< language_model::page_format()
  std::size_t page_bytes = 0;
};

/// Append-only segments, and an index of them in memory. For a new page the segment goes whose pages have
/// been of no use for longest.
///
/// Invariants: a page is read back as it was put, or not at all; whatever a crash or a bad disk did to its
/// record is found by checksums, counted, and the page forgotten. The files never have more than max_bytes.
/// No write is waited for (no fsync), so a power cut may take the last pages.
class file_tier final : public page_tier {
public:
  /// Reads the headers of all records. Fails if the folder cannot be used, another process has it, or
  /// max_bytes does not hold a page.
  static result<std::shared_ptr<file_tier>> open(const file_tier_options& options);
  ~file_tier() override;

  std::size_t page_bytes() const override;
  std::vector<named_page> names_of(std::string_view salt, std::span<const page_key> keys) const override;
  int n_stored(std::span<const named_page> pages) const override;
  /// Null, too, if the pages on their way here are as many as memory should hold.
  page_claim_ptr claim(const named_page& page) override;
  bool put(const named_page& page, std::span<const std::byte> bytes) override;
  page_bytes_ptr get(const named_page& page) override;
  void note_skipped(std::size_t n) override;

  file_tier_counters counters() const;

private:
  struct core;
  explicit file_tier(std::unique_ptr<core> core);
  std::unique_ptr<core> core_;
};

} // namespace souffleur
