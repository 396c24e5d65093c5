// Policies that a program which embeds Souffleur brings along.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace souffleur {

template <class Policy>
using policy_factory = std::function<std::unique_ptr<Policy>()>;

/// By name; may be used from any thread.
template <class Policy>
class policy_registry {
public:
  /// False, and nothing changes, if the name is taken.
  bool add(const std::string& name, policy_factory<Policy> make) {
    const std::lock_guard lock{mutex_};
    return factories_.emplace(name, std::move(make)).second;
  }
  /// Null if the name is unknown.
  std::unique_ptr<Policy> make(std::string_view name) const {
    const auto factory = find(name);
    return factory ? factory() : nullptr;
  }
  /// Each behind a comma, to follow the names of our own.
  std::string names() const {
    const std::lock_guard lock{mutex_};
    std::string all;
    for (const auto& [name, factory] : factories_)
      all += ", " + name;
    return all;
  }

private:
  policy_factory<Policy> find(std::string_view name) const {
    const std::lock_guard lock{mutex_};
    const auto at = factories_.find(name);
    return at == factories_.end() ? nullptr : at->second;
  }

  mutable std::mutex mutex_;
  std::map<std::string, policy_factory<Policy>, std::less<>> factories_;
};

/// Those of this process.
template <class Policy>
policy_registry<Policy>& registered_policies() {
  static policy_registry<Policy> all;
  return all;
}

} // namespace souffleur
