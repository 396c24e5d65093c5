// The tokens of whole pages.
#pragma once

#include "policies/token.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur {

/// The tokens of one page.
using page_key = std::array<token_id, page_tokens>;

/// Of the tokens up to the end of a page, given that of the tokens before it.
std::uint64_t hash_after(std::uint64_t before, const page_key& page);

/// Before the first page of a namespace. The same in every process, as hash_after() is.
std::uint64_t root_hash(std::string_view salt);

/// Of the whole pages of `tokens`: under which a prefix tree knows them.
std::vector<std::uint64_t> page_hashes(std::string_view salt, std::span<const token_id> tokens);

/// Cuts `tokens` into pages; a partial page at the end is left out.
std::vector<page_key> to_page_keys(std::span<const token_id> tokens);

} // namespace souffleur
