// Memory that costs nothing until it is written.
#pragma once

#include <cstddef>
#include <memory>

namespace souffleur {

enum class page_kind { ordinary, huge };

/// Zeroed memory of the operating system, resident page by page once written; for `huge` aligned to huge
/// pages and on them where the system gives them. Throws std::bad_alloc where there is no address space left.
std::shared_ptr<std::byte[]> lazy_memory(std::size_t size_bytes, page_kind kind);

} // namespace souffleur
