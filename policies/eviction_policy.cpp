#include "policies/eviction_policy.hpp"

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

} // namespace

std::unique_ptr<eviction_policy> make_eviction_policy(std::string_view name) {
  if (name == "lru") {
    return std::make_unique<lru_policy>();
  }
  if (name == "lfu") {
    return std::make_unique<lfu_policy>();
  }
  if (name == "fifo") {
    return std::make_unique<fifo_policy>();
  }
  return nullptr;
}

} // namespace souffleur
