// How far something is that takes a while.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdio>
#include <string>
#include <unistd.h>
#include <utility>

namespace souffleur {

/// On the standard error stream. A line that changes on a terminal; in a log file a line per quarter.
class progress_bar {
public:
  explicit progress_bar(std::string what) : what_(std::move(what)) {}

  void operator()(double fraction) {
    const int percent = static_cast<int>(fraction * 100);
    if (isatty(STDERR_FILENO) != 0) {
      if (percent != shown_)
        std::fprintf(stderr, "\r%s %3d %%%s", what_.c_str(), percent, percent >= 100 ? "\n" : "");
    } else if (percent / 25 != shown_ / 25) {
      spdlog::info("{} {} %", what_, percent);
    }
    shown_ = percent;
  }

private:
  std::string what_;
  int shown_ = -1;
};

} // namespace souffleur
