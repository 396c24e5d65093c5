#include "policies/eviction_policy.hpp"

#include "policies/hit_density.hpp"
#include "policies/named.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>
#include <unordered_map>
#include <utility>

namespace souffleur {
namespace {

class lru_policy final : public eviction_policy {
public:
  std::string_view name() const override { return "lru"; }
  eviction_key key(const cached_node& node) const override {
    return {static_cast<double>(node.last_used), static_cast<double>(node.created)};
  }
};

class lfu_policy final : public eviction_policy {
public:
  std::string_view name() const override { return "lfu"; }
  eviction_key key(const cached_node& node) const override {
    return {static_cast<double>(node.hits), static_cast<double>(node.created)};
  }
};

class fifo_policy final : public eviction_policy {
public:
  std::string_view name() const override { return "fifo"; }
  eviction_key key(const cached_node& node) const override { return {static_cast<double>(node.created), 0}; }
};

/// Lets scans pass: what was never found again goes before what was, each by last use. What was found once
/// too often stays while there is anything else.
class slru_policy final : public eviction_policy {
public:
  std::string_view name() const override { return "slru"; }
  eviction_key key(const cached_node& node) const override {
    return {node.hits > 0 ? 1.0 : 0.0, static_cast<double>(node.last_used)};
  }
};

/// Greedy dual size frequency (Cherkasova 1998): age + frequency * cost / size, so that old fame fades. A
/// page's size is always the same; its cost is what prefilling it takes once its prefix is there, which grows
/// with the prefix. Frequency is how many ways on from its end were taken; hits count by their logarithm
/// only, since a talk finds its own beginning at every turn and then ends.
class gdsf_policy final : public eviction_policy {
public:
  std::string_view name() const override { return "gdsf"; }
  eviction_key key(const cached_node& node) const override {
    const auto forks = node.forks > 1 ? static_cast<double>(node.forks) : 0.0;
    const auto frequency = 1 + forks + std::log2(1 + static_cast<double>(node.hits)) / 4;
    const auto cost = 1 + node.depth_pages / pages_that_double_the_cost;
    return {node.age + frequency * cost, static_cast<double>(node.last_used)};
  }
};

/// Queues by last use: of what was never found again, and of what was; each by the gap between the last two
/// uses. Which of them gives the next page is learned: the one whose oldest leaf has the lowest hit density.
/// So scans pass, and yet the fresh ends of talks that go on are not sacrificed to old talks. What it has
/// evicted it remembers until another two pools of pages are evicted, so that it learns of its mistakes.
class lhd_policy final : public eviction_policy {
public:
  std::string_view name() const override { return "lhd"; }
  eviction_key key(const cached_node& node) const override {
    return {static_cast<double>(node.last_used), static_cast<double>(node.created)};
  }
  int queue(const cached_node& node) const override {
    // 1 to 3, 4 to 15, 16 to 63, 64 to 255, more; 0 if unknown
    const auto gap = std::min((static_cast<int>(std::bit_width(node.gap)) + 1) / 2, n_gaps - 1);
    return gap + (node.hits > 0 ? n_gaps : 0);
  }
  double worth(const cached_node& node, std::uint64_t now) const override {
    return density_.at(queue(node), now - node.last_lookup);
  }

  void start(int n_pages) override {
    n_pool_pages_ = static_cast<std::size_t>(n_pages);
    evicted_.reserve(pools_remembered * n_pool_pages_ + 1);
  }
  void found(const cached_node& node, std::uint64_t now) override {
    note_lookup(now);
    density_.used(queue(node), now - node.last_lookup, node.n_pages);
  }
  bool missed(page_hash page, std::uint64_t now) override {
    note_lookup(now);
    const auto is_first = std::exchange(last_miss_, now) != now;
    const auto at = evicted_.find(page);
    if (at == evicted_.end()) {
      return false;
    }
    auto& known = at->second;
    if (known.gap > 0) {
      return true; // missed before, and not back yet
    }
    known.gap = now - known.last_lookup;
    density_.used(known.queue, known.gap, 1);
    if (is_first) {
      known.last_lookup = now;
      remember(page, now, now);
    } else {
      evicted_.erase(at);
    }
    return true;
  }
  std::uint64_t gap_of(page_hash page, std::uint64_t gap_before) const override {
    const auto at = evicted_.find(page);
    return at != evicted_.end() && at->second.gap > 0 ? at->second.gap : gap_before;
  }
  void evicted(const cached_node& node, page_hash page, std::uint64_t now) override {
    evicted_[page] = {.queue = queue(node), .last_lookup = node.last_lookup};
    remember(page, node.last_lookup, now);
  }

private:
  static constexpr std::size_t pools_remembered = 2;
  static constexpr std::uint64_t lookups_between_lessons = 32;
  /// So that what has changed is believed.
  static constexpr double pools_until_fading = 200;
  static constexpr int n_gaps = 6;

  struct memory {
    int queue = 0;
    std::uint64_t last_lookup = 0;
    std::uint64_t gap = 0; ///< if it was missed: from the last use to then
  };

  void remember(page_hash page, std::uint64_t last_lookup, std::uint64_t now) {
    in_order_.emplace_back(page, last_lookup);
    if (in_order_.size() > pools_remembered * n_pool_pages_) {
      forget(in_order_.front(), now);
      in_order_.pop_front();
    }
  }
  void forget(const std::pair<page_hash, std::uint64_t>& oldest, std::uint64_t now) {
    const auto at = evicted_.find(oldest.first);
    // Else it was found, or evicted again.
    if (at != evicted_.end() && at->second.last_lookup == oldest.second) {
      if (at->second.gap == 0) {
        density_.unused(at->second.queue, now - oldest.second, 1);
      }
      evicted_.erase(at);
    }
  }
  void note_lookup(std::uint64_t now) {
    if (now < last_lesson_ + lookups_between_lessons) {
      return;
    }
    density_.learn(static_cast<double>(now - last_lesson_));
    last_lesson_ = now;
    if (density_.n_noted() > pools_until_fading * static_cast<double>(n_pool_pages_)) {
      density_.fade();
    }
  }

  hit_density density_{2 * n_gaps};
  std::unordered_map<page_hash, memory> evicted_;
  std::deque<std::pair<page_hash, std::uint64_t>> in_order_; ///< of eviction, with last_lookup
  std::size_t n_pool_pages_ = 0;
  std::uint64_t last_lesson_ = 0;
  std::uint64_t last_miss_ = 0; ///< the last lookup that missed a page
};

} // namespace

std::unique_ptr<eviction_policy> make_eviction_policy(std::string_view name) {
  auto ours =
      make_named<eviction_policy, lhd_policy, lru_policy, lfu_policy, fifo_policy, slru_policy, gdsf_policy>(
          name);
  return ours ? std::move(ours) : registered_policies<eviction_policy>().make(name);
}

bool register_eviction_policy(const std::string& name, policy_factory<eviction_policy> make) {
  return make_eviction_policy(name) == nullptr &&
         registered_policies<eviction_policy>().add(name, std::move(make));
}

} // namespace souffleur
