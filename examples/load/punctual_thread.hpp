// A thread that runs when it wants to, beside a server that would like both cores.
#pragma once

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace souffleur::load {

/// Asks the kernel for the calling thread, not for those that it will start: timers without slack, and to go
/// before ordinary threads, as far as the user may. A generator of load has little to do, but at its times.
inline void make_this_thread_punctual() {
  prctl(PR_SET_TIMERSLACK, 1);
  sched_param lowest_real_time{};
  lowest_real_time.sched_priority = 1;
  if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest_real_time) != 0)
    setpriority(PRIO_PROCESS, 0, -10);
}

} // namespace souffleur::load
