// A fixed set of threads that starts on a piece of work within microseconds.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

namespace souffleur {

/// `run` hands one callable to every member, the caller included, and returns when all have finished.
/// Waiting members spin for some 50 us, then sleep. One thread calls `run` and `scratch` at a time.
class thread_team {
public:
  /// `n_threads` counts the caller; values below 1 mean 1.
  explicit thread_team(int n_threads);
  ~thread_team();
  thread_team(const thread_team&) = delete;
  thread_team& operator=(const thread_team&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls f(thread_index, n_threads) on each member; the caller is thread 0. `f` must not throw or call
  /// `run`.
  template <class F>
  void run(F&& f) {
    using callable = std::remove_reference_t<F>;
    run_erased([](const void* context, int index,
                  int n) { (*static_cast<callable*>(const_cast<void*>(context)))(index, n); },
               std::addressof(f));
  }

  /// Memory of at least `n_bytes`, 64-byte aligned, that the caller of `run` may use until its next
  /// `scratch`.
  std::byte* scratch(std::size_t n_bytes);

private:
  using work_function = void (*)(const void*, int, int);

  void run_erased(work_function work, const void* context);
  void work_loop(int index);

  struct aligned_delete {
    void operator()(std::byte* memory) const;
  };

  alignas(64) std::atomic<std::uint32_t> round_{0};
  alignas(64) std::atomic<std::uint32_t> n_busy_{0};
  work_function work_ = nullptr; ///< null asks the workers to end; published by round_
  const void* context_ = nullptr;
  std::unique_ptr<std::byte, aligned_delete> scratch_;
  std::size_t scratch_bytes_ = 0;
  std::vector<std::thread> workers_;
};

} // namespace souffleur
