// The conversation between the scheduler and the file tier's reader and writer: at most one message is out to
// each.
#pragma once

#include "actors/messages/step.hpp"
#include "engine/kv/page_tier.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace souffleur {

/// Pages to be read, which follow each other.
struct page_fetch {
  std::uint64_t ticket = 0;
  std::vector<named_page> pages;
};

/// Up to the first one that was missing or damaged.
struct fetched_pages {
  std::uint64_t ticket = 0;
  std::vector<page_bytes_ptr> pages;
};

struct page_writing {
  std::vector<saved_page> pages;
};

/// Each page of a page_writing is stored or on its way, or will not be.
struct pages_written {};

/// The writer ends: after what it was sent before if that is done by `deadline`, else with the page that it
/// writes then.
struct tier_closing {
  std::chrono::steady_clock::time_point deadline;
  bool is_last = false; ///< set by the writer alone, behind all that it was sent
};

using page_fetch_ptr = std::shared_ptr<const page_fetch>;
using fetched_pages_ptr = std::shared_ptr<const fetched_pages>;
using page_writing_ptr = std::shared_ptr<const page_writing>;

} // namespace souffleur
