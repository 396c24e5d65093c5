#include "net/connection_counts.hpp"

#include <algorithm>
#include <cassert>

namespace souffleur {

namespace ip = boost::asio::ip;

ip::address network_of(const ip::address& address) {
  if (address.is_v4())
    return address;
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped())
    return ip::make_address_v4(ip::v4_mapped, v6);
  constexpr std::size_t network_bytes = 8;
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + network_bytes, bytes.end(), 0);
  return ip::address_v6{bytes};
}

bool connection_counts::enter(const ip::address& from, int most) {
  const auto network = network_of(from);
  const auto known = counts_.find(network);
  if (most > 0 && known != counts_.end() && known->second >= most)
    return false;
  ++counts_[network];
  return true;
}

void connection_counts::leave(const ip::address& from) {
  const auto known = counts_.find(network_of(from));
  assert(known != counts_.end());
  if (--known->second == 0)
    counts_.erase(known);
}

} // namespace souffleur
