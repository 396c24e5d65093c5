#include "net/random_hex.hpp"

#include "policies/hex.hpp"

#include <sys/random.h>
#include <system_error>

namespace souffleur {

std::string random_hex(std::size_t n_bytes) {
  std::string bytes(n_bytes, '\0');
  if (::getentropy(bytes.data(), bytes.size()) != 0)
    throw std::system_error{errno, std::generic_category(), "getentropy"};
  return to_hex(bytes);
}

} // namespace souffleur
