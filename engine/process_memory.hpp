// What this process has in memory and does not need there.
#pragma once

#include <cstddef>

namespace souffleur {

/// What this process has in memory now.
std::size_t resident_bytes();

/// Gives back the heap's free pages and the pages of libraries that nobody has changed: a start leaves those
/// of libtorch's hundreds of dependencies behind. A page that is needed after all is mapped again from the
/// system's cache. Takes some ten milliseconds: for whoever has nothing else to do.
void give_back_unused_memory();

} // namespace souffleur
