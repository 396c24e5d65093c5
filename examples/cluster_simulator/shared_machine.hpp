// The steps of workers that share a machine's CPUs: the more compute, the longer each takes.
#pragma once

#include "examples/cluster_simulator/event_queue.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

namespace souffleur::cluster_simulation {

/// Processor sharing: while n workers compute, each is crowding[n - 1] times slower than by itself; more than
/// are named there as the last. Without crowding each has a machine of its own.
class shared_machine {
public:
  shared_machine(const std::vector<double>& crowding, std::size_t n_workers)
      : crowding_(crowding), steps_(n_workers) {}

  /// `work`: what the step would take by itself. `due(worker, when)` is called for every worker whose step is
  /// over at another time than was said last. REQUIRES: none of the worker's steps is under way.
  template <class Due>
  void begin(std::size_t worker, nanoseconds work, nanoseconds now, const Due& due) {
    advance(now);
    steps_[worker] = step{static_cast<double>(work), now, 0};
    if (crowding_.empty())
      return say(worker, now, due);
    computing_.push_back(worker);
    say_all(now, due);
  }

  /// Whether a step of it is over now: if not, what was said of it once has changed.
  bool is_over(std::size_t worker, nanoseconds now) const {
    return steps_[worker] && steps_[worker]->due == now;
  }

  /// What the step took. REQUIRES: is_over(worker, now).
  template <class Due>
  nanoseconds end(std::size_t worker, nanoseconds now, const Due& due) {
    advance(now);
    const auto took = now - steps_[worker]->begun;
    steps_[worker].reset();
    std::erase(computing_, worker);
    say_all(now, due);
    return took;
  }

private:
  struct step {
    double work_left; ///< nanoseconds by itself, at the time of the last change
    nanoseconds begun;
    nanoseconds due;
  };

  double slowdown() const {
    return crowding_.empty() ? 1 : crowding_[std::min(computing_.size(), crowding_.size()) - 1];
  }

  void advance(nanoseconds now) {
    for (const auto worker : computing_)
      steps_[worker]->work_left -= static_cast<double>(now - changed_) / slowdown();
    changed_ = now;
  }

  template <class Due>
  void say(std::size_t worker, nanoseconds now, const Due& due) {
    auto& step = *steps_[worker];
    const auto when = now + std::max<nanoseconds>(1, std::llround(step.work_left * slowdown()));
    if (step.due != when)
      due(worker, step.due = when);
  }
  template <class Due>
  void say_all(nanoseconds now, const Due& due) {
    for (const auto worker : computing_)
      say(worker, now, due);
  }

  const std::vector<double>& crowding_;
  std::vector<std::optional<step>> steps_; ///< by worker
  std::vector<std::size_t> computing_;     ///< and slow each other
  nanoseconds changed_ = 0;
};

} // namespace souffleur::cluster_simulation
