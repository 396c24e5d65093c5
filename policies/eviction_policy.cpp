#include "policies/eviction_policy.hpp"

#include "policies/named.hpp"

#include <cmath>

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

} // namespace

std::unique_ptr<eviction_policy> make_eviction_policy(std::string_view name) {
  return make_named<eviction_policy, lru_policy, lfu_policy, fifo_policy, slru_policy, gdsf_policy>(name);
}

} // namespace souffleur
