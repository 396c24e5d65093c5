// A fixed set of threads that wakes fast between the many short kernels of a step and sleeps when there is
// none.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace souffleur {

/// One caller at a time. A worker spins for some tens of microseconds after its last task, then sleeps in the
/// kernel. A worker that the operating system keeps waiting holds up nobody: the others do its part.
class thread_team {
public:
  explicit thread_team(int n_threads);
  ~thread_team();
  thread_team(const thread_team&) = delete;
  thread_team& operator=(const thread_team&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }
  /// Calls task(part) once for every part in [0, n_parts), at most a million, in order of the parts, each on
  /// whichever thread is free first, and waits for all. The caller takes part 0 at least.
  template <class F>
  void run(int n_parts, const F& task) {
    run_parts(n_parts, {&task, [](const void* f, int part) { (*static_cast<const F*>(f))(part); }});
  }

private:
  struct task_view {
    const void* object = nullptr;
    void (*call)(const void*, int) = nullptr;
  };

  void run_parts(int n_parts, task_view task);
  void work();
  void take_parts(std::uint32_t generation);
  void wait_for_the_rest() const;

  task_view task_;
  std::atomic<std::uint32_t> generation_{0};
  /// Generation << 40 | number of parts << 20 | the next part to take. A part is taken by adding 1 while
  /// nothing of it has changed, so that a late worker never touches a later task, nor one that is gone.
  std::atomic<std::uint64_t> next_{0};
  std::atomic<int> n_left_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

} // namespace souffleur
