// What a workload consists of: conversations whose later requests need the answers to earlier ones.
#pragma once

#include <string>
#include <vector>

namespace souffleur::load {

/// One request of a dialogue. It repeats what was said on the way to it, and adds a message.
struct turn {
  std::string user;   ///< the message added
  int after = -1;     ///< index of the turn whose answer it follows; -1: nothing was said before
  double think_s = 0; ///< between that answer and this request
};

/// Turns stand after the ones that they follow. Turns that follow the same one are asked at the same time.
struct dialogue {
  std::string system; ///< empty: no system message
  std::vector<turn> turns;
};

} // namespace souffleur::load
