// One region of memory for all weights of a model, on huge pages where the system gives them.
#pragma once

#include <cstddef>
#include <memory>

namespace souffleur {

/// Hands out zeroed, cache-line aligned pieces that keep the whole region alive. Memory is resident only once
/// it is written. Not for several threads at once.
class weight_arena {
public:
  /// Reserves `size_bytes` of address space.
  explicit weight_arena(std::size_t size_bytes);

  /// A piece of the region, or of its own if the region is used up.
  std::shared_ptr<std::byte[]> allocate(std::size_t size_bytes);

private:
  std::shared_ptr<std::byte[]> region_;
  std::size_t size_bytes_;
  std::size_t used_bytes_ = 0;
};

} // namespace souffleur
