#include "net/short_slices.hpp"

#include <cstdint>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace souffleur {

namespace {

/// `sched_attr` as the kernel first had it; its own header and the C library's exclude each other.
struct scheduling_attributes {
  std::uint32_t size = sizeof(scheduling_attributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};

constexpr std::uint64_t slice_ns = 100'000; // the shortest that the kernel takes

} // namespace

void ask_for_short_slices() {
#ifdef SYS_sched_setattr
  if (sched_getscheduler(0) != SCHED_OTHER) // somebody has chosen otherwise
    return;
  scheduling_attributes wanted;
  wanted.nice = getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)));
  wanted.runtime_ns = slice_ns;
  syscall(SYS_sched_setattr, 0, &wanted, 0);
#endif
}

} // namespace souffleur
