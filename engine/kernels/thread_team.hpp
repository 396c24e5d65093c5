// A fixed set of threads that wakes fast between the many short kernels of a step and sleeps when there is none.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace souffleur {

/// One caller at a time. A worker spins for some tens of microseconds after its last task, then sleeps in the kernel.
class thread_team {
public:
  explicit thread_team(int n_threads);
  ~thread_team();
  thread_team(const thread_team&) = delete;
  thread_team& operator=(const thread_team&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }
  /// Calls task(thread_index, size()) once on every thread, the caller being index 0, and waits for all.
  void run(const std::function<void(int, int)>& task);

private:
  void work(int index);

  const std::function<void(int, int)>* task_ = nullptr;
  std::atomic<std::uint32_t> generation_{0};
  std::atomic<int> n_left_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

} // namespace souffleur
