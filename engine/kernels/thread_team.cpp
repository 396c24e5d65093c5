#include "engine/kernels/thread_team.hpp"

namespace souffleur {

namespace {

constexpr int n_spins = 4000; // about 50 us
constexpr int part_bits = 20;
constexpr std::uint64_t part_mask = (1U << part_bits) - 1;
constexpr std::uint64_t generation_mask = (1U << 24) - 1;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

} // namespace

thread_team::thread_team(int n_threads) {
  for (int i = 1; i < n_threads; ++i)
    workers_.emplace_back([this] { work(); });
}

thread_team::~thread_team() {
  stopping_ = true;
  generation_.fetch_add(1);
  generation_.notify_all();
  for (auto& worker : workers_)
    worker.join();
}

void thread_team::run_parts(int n_parts, task_view task) {
  if (workers_.empty() || n_parts <= 1) {
    for (int part = 0; part < n_parts; ++part)
      task.call(task.object, part);
    return;
  }
  task_ = task;
  n_left_.store(n_parts - 1, std::memory_order_relaxed);
  const auto generation = generation_.load(std::memory_order_relaxed) + 1;
  next_.store((generation & generation_mask) << (2 * part_bits) |
                  static_cast<std::uint64_t>(n_parts) << part_bits | 1,
              std::memory_order_release);
  generation_.store(generation, std::memory_order_release);
  generation_.notify_all();
  task.call(task.object, 0);
  take_parts(generation);
  wait_for_the_rest();
}

void thread_team::take_parts(std::uint32_t generation) {
  auto next = next_.load(std::memory_order_acquire);
  while (next >> (2 * part_bits) == (generation & generation_mask)) {
    const auto part = next & part_mask;
    if (part >= ((next >> part_bits) & part_mask))
      return;
    if (!next_.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel, std::memory_order_acquire))
      continue;
    task_.call(task_.object, static_cast<int>(part));
    n_left_.fetch_sub(1, std::memory_order_release);
    next = next_.load(std::memory_order_acquire);
  }
}

/// Yields in the end: the thread that has the last part may be waiting for this very core.
void thread_team::wait_for_the_rest() const {
  for (int spin = 0; n_left_.load(std::memory_order_acquire) > 0; ++spin) {
    if (spin < n_spins)
      relax();
    else
      std::this_thread::yield();
  }
}

void thread_team::work() {
  std::uint32_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < n_spins && generation_.load(std::memory_order_acquire) == seen; ++spin)
      relax();
    generation_.wait(seen, std::memory_order_acquire);
    seen = generation_.load(std::memory_order_acquire);
    if (stopping_)
      return;
    take_parts(seen);
  }
}

} // namespace souffleur
