#include "engine/kv/page_shipment.hpp"

#include <algorithm>

namespace souffleur {

page_claim_ptr page_shipment::claim(const named_page& page) {
  {
    const auto lock = std::lock_guard(mutex_);
    if (is_closed_ || sent_.contains(page.name)) {
      return nullptr;
    }
  }
  return claims_->claim(page);
}

bool page_shipment::put(const named_page& page, page_bytes_ptr bytes) {
  auto lock = std::unique_lock(mutex_);
  const auto goes = [&] { return is_closed_ || n_under_way_ < options_.max_pages; };
  if (!changed_.wait_for(lock, options_.patience, goes)) {
    is_closed_ = true;
  }
  if (is_closed_ || !sent_.insert(page.name).second) {
    return false;
  }
  ++n_under_way_;
  lock.unlock();
  carry_(page, std::move(bytes));
  return true;
}

void page_shipment::received(std::size_t n) {
  const auto lock = std::lock_guard(mutex_);
  n_under_way_ -= std::min(n, n_under_way_);
  changed_.notify_all();
}

void page_shipment::close() {
  const auto lock = std::lock_guard(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

} // namespace souffleur
