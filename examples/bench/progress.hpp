// What a long run is doing, on standard error.
#pragma once

#include <string>

namespace souffleur::bench {

/// One line that changes on a terminal; a line a message elsewhere.
class progress {
public:
  progress();
  ~progress();
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  void say(const std::string& what);
  /// The same with a percentage, for which a line is worth its while only every quarter.
  void say(const std::string& what, double fraction);

private:
  bool on_terminal_;
  int shown_percent_ = -1;
};

} // namespace souffleur::bench
