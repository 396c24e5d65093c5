// A store in memory that can be out of order. What it holds outlives the actor.
#pragma once

#include "engine/cache/answer_store.hpp"

#include <atomic>
#include <map>
#include <mutex>

namespace souffleur::testing {

class fake_store final : public answer_store {
public:
  std::string_view name() const override { return "fake"; }

  result<std::optional<cache_entry>> get(const key_digest& exact, unix_seconds now_s) override {
    const std::lock_guard lock{mutex_};
    if (is_broken)
      return broken();
    const auto found = entries_.find(exact);
    if (found == entries_.end() || found->second.expires_s <= now_s)
      return std::optional<cache_entry>{};
    return std::optional{found->second};
  }
  result<std::monostate> put(const cache_entry& entry) override {
    const std::lock_guard lock{mutex_};
    if (is_broken)
      return broken();
    entries_.insert_or_assign(entry.exact, entry);
    order_.push_back(entry.exact);
    return std::monostate{};
  }
  result<std::monostate> erase(const key_digest& exact) override {
    const std::lock_guard lock{mutex_};
    entries_.erase(exact);
    return std::monostate{};
  }
  result<std::size_t> forget(const key_digest& owner) override {
    const std::lock_guard lock{mutex_};
    if (is_broken)
      return broken();
    return std::erase_if(entries_, [&](const auto& one) { return one.second.owner == owner; });
  }
  /// The position is the number of changes that were taken.
  result<store_changes> changes_since(const std::string& position, std::size_t n_most,
                                      unix_seconds now_s) override {
    const std::lock_guard lock{mutex_};
    if (is_broken)
      return broken();
    store_changes changes;
    std::size_t at = position.empty() ? 0 : std::stoul(position);
    for (; at < order_.size() && changes.added.size() < n_most; ++at)
      if (const auto found = entries_.find(order_[at]);
          found != entries_.end() && found->second.expires_s > now_s)
        changes.added.push_back(std::make_shared<const cache_entry>(found->second));
    changes.position = std::to_string(at);
    changes.is_all = at == order_.size();
    return changes;
  }
  store_counters counters() const override {
    const std::lock_guard lock{mutex_};
    store_counters counters;
    counters.n_entries = entries_.size();
    counters.is_reachable = !is_broken;
    return counters;
  }

  std::atomic<bool> is_broken{false};

private:
  static failure broken() { return failure{"The store is out of order."}; }

  mutable std::mutex mutex_;
  std::map<key_digest, cache_entry> entries_;
  std::vector<key_digest> order_; ///< of what was put
};

} // namespace souffleur::testing
