// How many connections each address has.
#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <map>

namespace souffleur {

/// What one party can have any number of addresses in: of IPv6 the /64, of IPv4 (also as ::ffff:a.b.c.d) the
/// address.
boost::asio::ip::address network_of(const boost::asio::ip::address& address);

/// Invariant: as many as have entered and not left; of a network without any, nothing is kept.
class connection_counts {
public:
  /// False, and nothing changes, if its network has `most` already. 0: no limit.
  bool enter(const boost::asio::ip::address& from, int most);
  /// REQUIRES: it has entered.
  void leave(const boost::asio::ip::address& from);
  std::size_t n_networks() const { return counts_.size(); }

private:
  std::map<boost::asio::ip::address, int> counts_;
};

} // namespace souffleur
