// Which threads and which instructions the operators of this thread run on.
#pragma once

#include "engine/kernels/isa.hpp"
#include "engine/kernels/thread_team.hpp"

namespace souffleur {

struct execution {
  thread_team* team = nullptr;
  isa level = isa::portable;
};

/// Outside every scope: the calling thread alone, with the best instructions it has.
execution current_execution();

/// Makes `how` the current execution of this thread while it lives, as a stream is current for a CUDA device:
/// the operators' schemas stay the same on every device.
class execution_scope {
public:
  explicit execution_scope(const execution& how);
  ~execution_scope();
  execution_scope(const execution_scope&) = delete;
  execution_scope& operator=(const execution_scope&) = delete;

private:
  execution outer_;
};

} // namespace souffleur
