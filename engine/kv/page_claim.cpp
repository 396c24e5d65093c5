#include "engine/kv/page_claim.hpp"

namespace souffleur {

page_claim::page_claim(std::shared_ptr<claim_book> book, const named_page& page)
    : book_(std::move(book)), page_(page) {}

page_claim::~page_claim() { book_->let_go(page_.name); }

page_claim_ptr claim_book::claim(const named_page& page) {
  {
    const auto lock = std::lock_guard(mutex_);
    if (claimed_.size() >= n_max_ || !claimed_.insert(page.name).second) {
      return nullptr;
    }
  }
  return std::make_shared<const page_claim>(shared_from_this(), page);
}

void claim_book::let_go(const page_name& name) {
  const auto lock = std::lock_guard(mutex_);
  claimed_.erase(name);
}

} // namespace souffleur
