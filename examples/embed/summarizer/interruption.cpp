#include "interruption.hpp"

#include <utility>

namespace summarizer {

interruption::interruption() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void interruption::then(std::function<void()> act) {
  waiting_ = std::jthread{[signals = signals_, act = std::move(act)](const std::stop_token& stop) {
    constexpr timespec look_again{0, 50'000'000};
    while (!stop.stop_requested())
      if (sigtimedwait(&signals, nullptr, &look_again) > 0)
        return act();
  }};
}

} // namespace summarizer
