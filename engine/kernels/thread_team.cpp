#include "engine/kernels/thread_team.hpp"

namespace souffleur {

namespace {

constexpr int n_spins = 4000; // about 50 us

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

} // namespace

thread_team::thread_team(int n_threads) {
  for (int i = 1; i < n_threads; ++i)
    workers_.emplace_back([this, i] { work(i); });
}

thread_team::~thread_team() {
  stopping_ = true;
  generation_.fetch_add(1);
  generation_.notify_all();
  for (auto& worker : workers_)
    worker.join();
}

void thread_team::run(const std::function<void(int, int)>& task) {
  if (workers_.empty()) {
    task(0, 1);
    return;
  }
  task_ = &task;
  n_left_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  task(0, size());
  while (n_left_.load(std::memory_order_acquire) > 0)
    relax();
}

void thread_team::work(int index) {
  std::uint32_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < n_spins && generation_.load(std::memory_order_acquire) == seen; ++spin)
      relax();
    generation_.wait(seen, std::memory_order_acquire);
    seen = generation_.load(std::memory_order_acquire);
    if (stopping_)
      return;
    (*task_)(index, size());
    n_left_.fetch_sub(1, std::memory_order_release);
  }
}

} // namespace souffleur
