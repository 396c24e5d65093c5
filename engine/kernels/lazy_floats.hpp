// Room for intermediate values whose number changes from step to step.
#pragma once

#include "engine/kernels/lazy_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>

namespace souffleur {

/// Keeps its memory from use to use, resident as far as it was ever written: it grows outside the heap, which
/// would keep a hole for every size that was outgrown.
class lazy_floats {
public:
  /// Room for `n` values. Keeps what it has if that is enough; else the values before are gone.
  std::span<float> take(std::size_t n) {
    if (n > capacity_) {
      capacity_ = std::max(n, 2 * capacity_);
      memory_.reset(); // before there is more
      memory_ = lazy_memory(capacity_ * sizeof(float), page_kind::ordinary);
    }
    return {reinterpret_cast<float*>(memory_.get()), n};
  }

private:
  std::size_t capacity_ = 0;
  std::shared_ptr<std::byte[]> memory_;
};

} // namespace souffleur
