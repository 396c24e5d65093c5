#include "examples/bench/progress.hpp"

#include <cstdio>
#include <unistd.h>

namespace souffleur::bench {

progress::progress() : on_terminal_(isatty(STDERR_FILENO) != 0) {}

progress::~progress() {
  if (on_terminal_)
    std::fputs("\r\033[K", stderr);
}

void progress::say(const std::string& what) {
  if (on_terminal_)
    std::fprintf(stderr, "\r\033[K%s", what.c_str());
  else
    std::fprintf(stderr, "%s\n", what.c_str());
  std::fflush(stderr);
}

void progress::say(const std::string& what, double fraction) {
  const int percent = static_cast<int>(fraction * 100);
  if (percent == shown_percent_ || (!on_terminal_ && percent / 25 == shown_percent_ / 25))
    return;
  shown_percent_ = percent;
  say(what + " " + std::to_string(percent) + " %");
}

} // namespace souffleur::bench
