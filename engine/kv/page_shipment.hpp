// A prompt's pages on their way to another process.
#pragma once

#include "engine/kv/page_tier.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_set>

namespace souffleur {

struct page_shipment_options {
  int first_page = 0;                       ///< of the prompt; what is before is there already
  std::size_t max_pages = 1;                ///< that may be under way
  std::chrono::milliseconds patience{5000}; ///< with a receiver that takes none
};

/// Pages go one by one, each once. Who puts one waits while as many are under way as may be; so no more
/// memory is taken than those have. The end of the object is the end of the shipment: whoever may still bring
/// a page holds it.
///
/// Any thread may call; the listeners are called on any thread.
class page_shipment {
public:
  using carrier = std::function<void(const named_page& page, page_bytes_ptr bytes)>;

  page_shipment(const page_shipment_options& options, carrier carry, std::function<void()> on_end)
      : options_(options), carry_(std::move(carry)), on_end_(std::move(on_end)) {}
  ~page_shipment() { on_end_(); }
  page_shipment(const page_shipment&) = delete;
  page_shipment& operator=(const page_shipment&) = delete;

  int first_page() const { return options_.first_page; }
  /// Null if somebody has the page already, or nobody wants it any more.
  page_claim_ptr claim(const named_page& page);
  /// False if nobody wants it any more, or the receiver has taken none for too long; then none is wanted any
  /// more.
  bool put(const named_page& page, page_bytes_ptr bytes);
  /// The receiver has `n` more of them.
  void received(std::size_t n);
  /// Nobody wants more of it.
  void close();

private:
  page_shipment_options options_;
  carrier carry_;
  std::function<void()> on_end_;
  std::shared_ptr<claim_book> claims_ = std::make_shared<claim_book>(~std::size_t{0});
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_set<page_name, page_name_hash> sent_;
  std::size_t n_under_way_ = 0;
  bool is_closed_ = false;
};

using page_shipment_ptr = std::shared_ptr<page_shipment>;

} // namespace souffleur
