// Where a forward pass spends its time, operator by operator; for benchmarks.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace souffleur {

/// Calls and time of every operator and shape, in the order of their first calls. One thread uses it.
class operator_profile {
public:
  struct entry {
    std::string_view name; ///< a literal
    int n_out = 0;         ///< of a matrix; 0 where the operator has none
    int n_in = 0;
    std::int64_t calls = 0;
    std::chrono::nanoseconds time{0};
  };

  void add(std::string_view name, int n_out, int n_in, std::chrono::nanoseconds time);
  const std::vector<entry>& entries() const { return entries_; }

private:
  std::vector<entry> entries_;
};

/// While it lives, the operators that this thread calls are timed into `profile`. Scopes do not nest.
class operator_profile_scope {
public:
  explicit operator_profile_scope(operator_profile& profile) { open_ = &profile; }
  ~operator_profile_scope() { open_ = nullptr; }
  operator_profile_scope(const operator_profile_scope&) = delete;
  operator_profile_scope& operator=(const operator_profile_scope&) = delete;

  static operator_profile* open() { return open_; }

private:
  static inline constinit thread_local operator_profile* open_ = nullptr;
};

/// Adds its own lifetime to the profile that is open; without one it costs a branch.
class operator_timer {
public:
  explicit operator_timer(std::string_view name, int n_out = 0, int n_in = 0)
      : profile_(operator_profile_scope::open()), name_(name), n_out_(n_out), n_in_(n_in) {
    if (profile_ != nullptr)
      start_ = clock::now();
  }
  ~operator_timer() {
    if (profile_ != nullptr)
      profile_->add(name_, n_out_, n_in_, clock::now() - start_);
  }
  operator_timer(const operator_timer&) = delete;
  operator_timer& operator=(const operator_timer&) = delete;

private:
  using clock = std::chrono::steady_clock;
  operator_profile* profile_;
  std::string_view name_;
  int n_out_;
  int n_in_;
  clock::time_point start_;
};

} // namespace souffleur
