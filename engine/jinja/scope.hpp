// Variables of a block, over those of the blocks around it.
#pragma once

#include "engine/jinja/ast.hpp"
#include "engine/jinja/execution.hpp"
#include "engine/jinja/value.hpp"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace souffleur::jinja {

/// Names are those of the syntax tree, which outlives every scope.
class scope {
public:
  explicit scope(std::shared_ptr<scope> outer) : outer_(std::move(outer)) {}

  void set(execution& run, std::string_view name, value v) {
    run.step(cost());
    for (auto& [own, current] : variables_) {
      if (own == name) {
        current = std::move(v);
        return;
      }
    }
    variables_.emplace_back(name, std::move(v));
  }

  /// In this scope or the nearest around it; null if there is none.
  const value* find(execution& run, std::string_view name) const {
    for (const scope* at = this; at != nullptr && run.step(at->cost()); at = at->outer_.get()) {
      for (const auto& [own, v] : at->variables_) {
        if (own == name) {
          return &v;
        }
      }
    }
    return nullptr;
  }

private:
  std::int64_t cost() const { return 1 + static_cast<std::int64_t>(variables_.size() / 16); }

  std::shared_ptr<scope> outer_;
  std::vector<std::pair<std::string_view, value>> variables_;
};

/// A macro with the scope it was defined in. Weak: the scope holds the macro.
struct macro_closure {
  std::shared_ptr<const macro_definition> definition;
  std::weak_ptr<scope> home;
};

} // namespace souffleur::jinja
