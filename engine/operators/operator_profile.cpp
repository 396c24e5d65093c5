#include "engine/operators/operator_profile.hpp"

#include <algorithm>

namespace souffleur {

void operator_profile::add(std::string_view name, int n_out, int n_in, std::chrono::nanoseconds time) {
  auto found = std::find_if(entries_.begin(), entries_.end(), [&](const entry& known) {
    return known.name == name && known.n_out == n_out && known.n_in == n_in;
  });
  if (found == entries_.end())
    found = entries_.insert(entries_.end(), entry{name, n_out, n_in});
  ++found->calls;
  found->time += time;
}

} // namespace souffleur
