// Where pages of keys and values are that are not in the pool, and can be put into it.
#pragma once

#include "engine/kv/page_claim.hpp"
#include "engine/kv/page_name.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur {

/// (page_bytes,)
using page_bytes_ptr = std::shared_ptr<const std::byte[]>;

/// Any thread may call; one at a time calls put().
class page_tier {
public:
  virtual ~page_tier() = default;

  virtual std::size_t page_bytes() const = 0;
  /// A prefix's pages, from position 0.
  virtual std::vector<named_page> names_of(std::string_view salt, std::span<const page_key> keys) const = 0;
  /// How many of `pages`, at the front, are stored.
  virtual int n_stored(std::span<const named_page> pages) const = 0;
  /// Null if the page is stored, which counts as a use, or claimed, or not to be stored.
  virtual page_claim_ptr claim(const named_page& page) = 0;
  /// False if the page is stored already or cannot be.
  virtual bool put(const named_page& page, std::span<const std::byte> bytes) = 0;
  /// Null if the page is not stored, or damaged.
  virtual page_bytes_ptr get(const named_page& page) = 0;
  /// `n` pages were worth storing, but there was no time to copy them.
  virtual void note_skipped(std::size_t n) = 0;
};

} // namespace souffleur
