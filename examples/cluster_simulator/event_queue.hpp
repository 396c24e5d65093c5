// What is to happen, in the order of time.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

namespace souffleur::cluster_simulation {

using nanoseconds = std::int64_t; ///< since the simulation began

enum class event_kind : std::uint8_t {
  arrival,     ///< the next dialogue of an open loop; id: none
  request,     ///< a client sends a request; id: the request's
  routing,     ///< it is at the router
  delivery,    ///< it is at its worker
  step_over,   ///< id: the worker's
  first_token, ///< is at the router
  end,         ///< of the request's answer, at the router
};

struct event {
  nanoseconds at = 0;
  event_kind kind = event_kind::arrival;
  std::size_t id = 0;
};

/// Of events at the same time, those pushed first come first, so that a simulation has one course only.
class event_queue {
public:
  void push(const event& what) { heap_.push({what, n_pushed_++}); }
  bool empty() const { return heap_.empty(); }
  event pop() {
    const auto first = heap_.top().what;
    heap_.pop();
    return first;
  }

private:
  struct entry {
    event what;
    std::uint64_t order;
    bool operator<(const entry& other) const {
      return what.at != other.what.at ? what.at > other.what.at : order > other.order;
    }
  };
  std::priority_queue<entry> heap_;
  std::uint64_t n_pushed_ = 0;
};

} // namespace souffleur::cluster_simulation
