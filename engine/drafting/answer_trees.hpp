// The finished answers of each tenant, to draft from.
#pragma once

#include "engine/drafting/by_tenant.hpp"
#include "engine/drafting/suffix_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace souffleur {

/// One suffix tree a tenant, so that nobody's drafts, and nobody's speed, tell of another's answers. A
/// tenant's oldest answers make room for its new ones; whole tenants make room for others, those first whose
/// tree was used longest ago.
class answer_trees {
public:
  /// Bounds on bytes(), of all trees and of any.
  answer_trees(std::size_t total_bytes, std::size_t tenant_bytes, int depth = suffix_tree::default_depth);

  /// Keeps an answer, if there is room for it at all.
  void add(std::string_view tenant, std::span<const token_id> answer);
  /// Null if nothing of the tenant is kept. Counts as a use. Valid until the next add().
  const suffix_tree* find(std::string_view tenant) { return trees_.use(tenant); }

  std::size_t n_tenants() const { return trees_.size(); }
  std::size_t bytes() const { return bytes_; }

private:
  suffix_tree fresh_tree();
  suffix_tree& tree_of(std::string_view tenant);
  void drop_least_used();

  std::size_t total_bytes_;
  std::size_t tenant_bytes_;
  suffix_tree empty_;
  std::uint64_t n_made_ = 0;
  std::size_t bytes_ = 0;
  by_tenant<suffix_tree> trees_;
};

} // namespace souffleur
