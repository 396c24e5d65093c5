// When what a request was told went to its socket; for traces.
#pragma once

#include "actors/messages/admission.hpp"

#include <cstddef>
#include <deque>
#include <vector>

namespace souffleur {

struct written_part {
  steady_time began;
  steady_time ended; ///< the system had taken it
};

/// Remembers the newest writes of all requests.
class write_log {
public:
  static constexpr std::size_t most = 16384;

  void note(request_id id, const written_part& part) {
    parts_.push_back({id, part});
    if (parts_.size() > most)
      parts_.pop_front();
  }
  std::vector<written_part> of(request_id id) const {
    std::vector<written_part> those;
    for (const auto& [from, part] : parts_)
      if (from == id)
        those.push_back(part);
    return those;
  }

private:
  struct entry {
    request_id id;
    written_part part;
  };
  std::deque<entry> parts_;
};

} // namespace souffleur
