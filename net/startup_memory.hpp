// What a start leaves behind in memory and a server never looks at again.
#pragma once

#include <cstddef>

namespace souffleur {

/// What this process has in memory now.
std::size_t resident_bytes();

/// Gives back the heap's free pages and the pages of libraries that only loading them has read: libtorch's
/// hundreds of dependencies. A page that is needed after all is mapped again from the system's cache.
void release_startup_memory();

} // namespace souffleur
