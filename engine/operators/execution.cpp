#include "engine/operators/execution.hpp"

namespace souffleur {

namespace {
thread_local execution current;
} // namespace

execution current_execution() {
  if (current.team)
    return current;
  thread_local thread_team alone{1};
  return {&alone, best_isa()};
}

execution_scope::execution_scope(const execution& how) : outer_(current) { current = how; }
execution_scope::~execution_scope() { current = outer_; }

} // namespace souffleur
