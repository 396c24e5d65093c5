// The tokens of whole pages.
#pragma once

#include "policies/token.hpp"

#include <array>
#include <span>
#include <vector>

namespace souffleur {

/// The tokens of one page.
using page_key = std::array<token_id, page_tokens>;

/// Cuts `tokens` into pages; a partial page at the end is left out.
std::vector<page_key> to_page_keys(std::span<const token_id> tokens);

} // namespace souffleur
