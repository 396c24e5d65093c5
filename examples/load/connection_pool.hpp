// Connections that were used before are used again.
#pragma once

#include "examples/load/target.hpp"

#include <memory>
#include <vector>

namespace souffleur::load {

class connection_pool {
public:
  connection_pool(target& where, bool always_new) : target_(where), always_new_(always_new) {}

  /// An idle one; null if there is none.
  std::unique_ptr<connection> idle() {
    if (idle_.empty())
      return nullptr;
    auto last = std::move(idle_.back());
    idle_.pop_back();
    return last;
  }
  boost::asio::awaitable<std::unique_ptr<connection>> fresh() { return target_.connect(); }
  void give_back(std::unique_ptr<connection> used) {
    if (!always_new_ && used->reusable())
      idle_.push_back(std::move(used));
  }

private:
  target& target_;
  bool always_new_;
  std::vector<std::unique_ptr<connection>> idle_;
};

} // namespace souffleur::load
