// Names under which pages are found again by whoever computes the same.
#pragma once

#include "engine/kv/page_key.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur {

/// 128 bits of BLAKE2b (RFC 7693): clients choose the tokens, so nobody may be able to choose a name.
struct page_name {
  std::array<std::uint8_t, 16> bytes{};
  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the 0 in the default for a null pointer.
  auto operator<=>(const page_name&) const = default;
};

struct page_name_hash {
  std::size_t operator()(const page_name& name) const {
    std::size_t hash = 0;
    std::memcpy(&hash, name.bytes.data(), sizeof hash);
    return hash;
  }
};

struct named_page {
  page_name name;   ///< of `parent` and `tokens`
  page_name parent; ///< the page before it; at position 0 the root
  page_key tokens{};
  bool operator==(const named_page&) const = default;
};

page_name name_of_text(std::string_view text);

/// Above all first pages: `format` says whose keys and values they are, `salt` who may share them.
page_name root_name(std::string_view format, std::string_view salt);

/// Of pages that follow each other from `root` on: each name covers everything before it, too.
std::vector<named_page> name_pages(const page_name& root, std::span<const page_key> keys);

} // namespace souffleur
