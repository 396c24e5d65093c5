// Who is about to store which page.
#pragma once

#include "engine/kv/page_name.hpp"

#include <memory>
#include <mutex>
#include <unordered_set>

namespace souffleur {

class claim_book;

/// The right to store a page. While it lives nobody else gets it; whoever drops it, with the page stored or
/// not, lets the page be claimed again.
class page_claim {
public:
  page_claim(std::shared_ptr<claim_book> book, const named_page& page);
  ~page_claim();
  page_claim(const page_claim&) = delete;
  page_claim& operator=(const page_claim&) = delete;

  const named_page& page() const { return page_; }

private:
  std::shared_ptr<claim_book> book_;
  named_page page_;
};

using page_claim_ptr = std::shared_ptr<const page_claim>;

/// The claims that are out, at most `n_max`. Any thread may call.
class claim_book : public std::enable_shared_from_this<claim_book> {
public:
  explicit claim_book(std::size_t n_max) : n_max_(n_max) {}

  /// Null if the page is claimed, or as many are as may be.
  page_claim_ptr claim(const named_page& page);

private:
  friend class page_claim;
  void let_go(const page_name& name);

  std::mutex mutex_;
  std::size_t n_max_;
  std::unordered_set<page_name, page_name_hash> claimed_;
};

} // namespace souffleur
