// What fails again and again is told once, and so is that it works again.
#pragma once

#include <functional>
#include <string>
#include <utility>

namespace souffleur {

/// `why`: something outside of the process, without which the server goes on, began to fail; empty: it works
/// again.
using trouble_listener = std::function<void(const std::string& what, const std::string& why)>;

class trouble_watch {
public:
  trouble_watch(std::string what, trouble_listener listener)
      : what_(std::move(what)), listener_(std::move(listener)) {}

  /// REQUIRES: `why` is not empty.
  void failed(const std::string& why) {
    if (!std::exchange(fails_, true) && listener_)
      listener_(what_, why);
  }
  void worked() {
    if (std::exchange(fails_, false) && listener_)
      listener_(what_, "");
  }

private:
  std::string what_;
  trouble_listener listener_;
  bool fails_ = false;
};

} // namespace souffleur
