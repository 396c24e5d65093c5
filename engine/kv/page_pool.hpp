// The pages that nobody holds.
#pragma once

#include "policies/token.hpp"

#include <vector>

namespace souffleur {

/// Free list over pages 0 .. n_total - 1. A page is out with exactly one holder or free, never both.
class page_pool {
public:
  explicit page_pool(int n_pages);

  int n_total() const { return static_cast<int>(out_.size()); }
  int n_free() const { return static_cast<int>(free_.size()); }
  bool is_free(page_id page) const;

  /// Appends `n` free pages to `pages`. False, and nothing changed, if fewer are free.
  bool take(int n, std::vector<page_id>& pages);
  /// Takes the page back. False, and nothing changed, if it is not out.
  bool give_back(page_id page);
  /// True if the free list names exactly the pages that are not out, each once.
  bool consistent() const;

private:
  std::vector<page_id> free_;
  std::vector<bool> out_; ///< by page
};

} // namespace souffleur
