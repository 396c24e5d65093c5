// Connections by address, against a plain list of those that are there.
#include "net/connection_counts.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace souffleur {
namespace {

namespace ip = boost::asio::ip;

const std::vector<std::string> addresses{"10.0.0.1",    "10.0.0.2",    "::ffff:10.0.0.1",
                                         "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"};

TEST(ConnectionCounts, AnIpv6NetworkIsOneAndAMappedAddressIsItsIpv4) {
  const auto network = [](const char* text) { return network_of(ip::make_address(text)).to_string(); };
  EXPECT_EQ(network("2001:db8::1"), network("2001:db8::ffff:2"));
  EXPECT_NE(network("2001:db8::1"), network("2001:db8:0:1::1"));
  EXPECT_EQ(network("::ffff:10.0.0.1"), "10.0.0.1");
}

RC_GTEST_PROP(ConnectionCounts, NoNetworkHasMoreThanTheMostAndNoneIsKeptWithoutAny, ()) {
  const auto most = *rc::gen::inRange(0, 4);
  connection_counts counts;
  std::vector<ip::address> present;
  for (int i = 0; i < 100; ++i) {
    if (present.empty() || *rc::gen::arbitrary<bool>()) {
      const auto from = ip::make_address(*rc::gen::elementOf(addresses));
      const auto n = std::ranges::count(present, network_of(from), network_of);
      const bool entered = counts.enter(from, most);
      RC_ASSERT(entered == (most == 0 || n < most));
      if (entered)
        present.push_back(from);
    } else {
      const auto who = *rc::gen::inRange<std::size_t>(0, present.size());
      counts.leave(present[who]);
      present.erase(present.begin() + static_cast<std::ptrdiff_t>(who));
    }
    std::set<ip::address> networks;
    for (const auto& one : present)
      networks.insert(network_of(one));
    RC_ASSERT(counts.n_networks() == networks.size());
  }
}

} // namespace
} // namespace souffleur
