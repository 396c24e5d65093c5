// One thing for each tenant, in the order of use.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace souffleur {

/// Whoever bounds it drops the one used longest ago. References stay valid until theirs is dropped.
template <class T>
class by_tenant {
public:
  /// Null if the tenant has none. Counts as a use.
  T* use(std::string_view tenant) {
    const auto found = index_.find(tenant);
    if (found == index_.end())
      return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }
  /// The same, and no use.
  const T* find(std::string_view tenant) const {
    const auto found = index_.find(tenant);
    return found == index_.end() ? nullptr : &found->second->second;
  }
  /// Counts as a use. REQUIRES: the tenant has none.
  T& add(std::string_view tenant, T made) {
    order_.emplace_front(std::string{tenant}, std::move(made));
    index_.emplace(order_.front().first, order_.begin());
    return order_.front().second;
  }
  /// REQUIRES: size() > 0.
  const T& used_longest_ago() const { return order_.back().second; }
  void drop_used_longest_ago() {
    index_.erase(order_.back().first);
    order_.pop_back();
  }
  std::size_t size() const { return order_.size(); }

private:
  using order = std::list<std::pair<std::string, T>>;
  order order_; ///< the one used last comes first
  std::unordered_map<std::string_view, typename order::iterator> index_;
};

} // namespace souffleur
