// One segment of the file tier: pages in records of equal size, written once, one after the other.
#pragma once

#include "engine/kv/page_name.hpp"
#include "engine/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace souffleur {

/// What all records of a file have in common.
struct page_layout {
  std::size_t page_bytes = 0;
  page_name format; ///< of the text that says whose keys and values they are
};

/// A file header, then records: a header with the page's name, its parent's, its tokens and a checksum of its
/// bytes, all under a checksum of its own (XXH3), and then the bytes. Since a record's place follows from its
/// number, damage to one does not hide the others.
///
/// A writer that is killed leaves a torn last record, which open() cuts off. Reads may go on beside an
/// append.
class page_file {
public:
  /// A new file, readable by its owner alone. Fails if it exists.
  static result<std::unique_ptr<page_file>> create(const std::string& path, const page_layout& layout);
  /// Fails on a file of another layout or with a damaged file header.
  static result<std::unique_ptr<page_file>> open(const std::string& path, const page_layout& layout);
  ~page_file();
  page_file(const page_file&) = delete;
  page_file& operator=(const page_file&) = delete;

  static std::uint64_t size_bytes(const page_layout& layout, int n_records);

  int n_records() const { return n_records_; }
  std::uint64_t size_bytes() const { return size_bytes(layout_, n_records_); }
  /// Which page a record says it is; nothing if its header is damaged.
  std::optional<named_page> page_at(int record) const;
  /// Fills `bytes`, (page_bytes,). False if the record is damaged or another page's.
  bool read(int record, const named_page& page, std::span<std::byte> bytes) const;
  /// False if the system refuses; then the file is as before.
  bool append(const named_page& page, std::span<const std::byte> bytes);
  /// Takes the file out of its folder; those who still read may finish.
  void remove() const;

private:
  page_file(std::string path, int descriptor, const page_layout& layout, int n_records);

  std::string path_;
  int descriptor_;
  page_layout layout_;
  int n_records_;
};

} // namespace souffleur
