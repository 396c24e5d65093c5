// Ctrl-C as a message.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace summarizer {

/// From its construction on, SIGINT and SIGTERM end nothing by themselves. To be made before other threads
/// are: they inherit that.
class interruption {
public:
  interruption();
  /// Calls `act`, once, from a thread of its own, when one of them comes or has come.
  void then(std::function<void()> act);

private:
  sigset_t signals_{};
  std::jthread waiting_;
};

} // namespace summarizer
