#include "engine/kv/page_shipment.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace souffleur {
namespace {

using namespace std::chrono_literals;

struct carried_pages {
  page_shipment_options options{0, 2, 10s};
  std::vector<named_page> names = name_pages(root_name("format", "a"), std::vector<page_key>(4));
  std::atomic<int> n_carried = 0;
  std::atomic<bool> is_over = false;
  page_shipment_ptr begin() {
    return std::make_shared<page_shipment>(
        options, [this](const named_page&, const page_bytes_ptr&) { ++n_carried; },
        [this] { is_over = true; });
  }
};

TEST(PageShipment, TakesEachPageOnceAndEndsWithTheLastWhoMayBringOne) {
  carried_pages pages;
  auto shipment = pages.begin();
  auto claim = shipment->claim(pages.names[0]);
  ASSERT_TRUE(claim);
  EXPECT_FALSE(shipment->claim(pages.names[0]));
  EXPECT_TRUE(shipment->put(claim->page(), nullptr));
  claim.reset();
  EXPECT_FALSE(shipment->claim(pages.names[0]));
  EXPECT_FALSE(shipment->put(pages.names[0], nullptr));
  EXPECT_EQ(pages.n_carried, 1);
  auto copier = shipment;
  shipment.reset();
  EXPECT_FALSE(pages.is_over);
  copier.reset();
  EXPECT_TRUE(pages.is_over);
}

TEST(PageShipment, WhoPutsAPageWaitsUntilTheReceiverHasOneMore) {
  carried_pages pages;
  const auto shipment = pages.begin();
  EXPECT_TRUE(shipment->put(pages.names[0], nullptr));
  EXPECT_TRUE(shipment->put(pages.names[1], nullptr));
  std::jthread writer{[&] { EXPECT_TRUE(shipment->put(pages.names[2], nullptr)); }};
  EXPECT_LE(pages.n_carried, 2);
  shipment->received(1);
  writer.join();
  EXPECT_EQ(pages.n_carried, 3);
}

TEST(PageShipment, WithoutAReceiverOrAWishNobodyWaits) {
  carried_pages pages;
  pages.options.patience = 1ms;
  const auto late = pages.begin();
  EXPECT_TRUE(late->put(pages.names[0], nullptr));
  EXPECT_TRUE(late->put(pages.names[1], nullptr));
  EXPECT_FALSE(late->put(pages.names[2], nullptr));
  EXPECT_FALSE(late->claim(pages.names[3])) << "who takes nothing for so long is asked no more";
  pages.options.patience = 10s;
  const auto closed = pages.begin();
  EXPECT_TRUE(closed->put(pages.names[0], nullptr));
  EXPECT_TRUE(closed->put(pages.names[1], nullptr));
  std::jthread writer{[&] { EXPECT_FALSE(closed->put(pages.names[2], nullptr)); }};
  closed->close();
}

} // namespace
} // namespace souffleur
