// From a policy's name in the configuration to the policy.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

namespace souffleur {

/// The one of `Kinds` whose name() is `name`; null if none is.
template <class Policy, class... Kinds>
std::unique_ptr<Policy> make_named(std::string_view name) {
  std::unique_ptr<Policy> made;
  ((made = made || Kinds{}.name() != name ? std::move(made) : std::make_unique<Kinds>()), ...);
  return made;
}

} // namespace souffleur
