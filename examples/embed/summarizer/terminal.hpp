// What the summariser shows: a line that tells how far it is, and texts that fit the page.
#pragma once

#include <string>

namespace summarizer {

/// The last line of a terminal, on stderr; nothing if that is none.
class status_line {
public:
  /// `progress`, then as much of the end of `text` as there is room for.
  void show(const std::string& progress, const std::string& text);
  void clear();
  ~status_line() { clear(); }

private:
  bool is_shown_ = false;
};

/// The words of `text` in lines of at most 80 columns, each two columns in.
std::string indented(const std::string& text);

} // namespace summarizer
