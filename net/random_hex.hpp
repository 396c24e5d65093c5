// Names that nobody can guess.
#pragma once

#include <cstddef>
#include <string>

namespace souffleur {

/// So many random bytes of the operating system's generator, as two hexadecimal digits each. Needs no file
/// descriptor, so that it works where there are none left. REQUIRES: at most 256 bytes.
std::string random_hex(std::size_t n_bytes);

} // namespace souffleur
