#include "terminal.hpp"

#include <algorithm>
#include <iostream>
#include <sstream>
#include <unistd.h>

namespace summarizer {

namespace {

constexpr std::size_t n_columns = 80;

/// On one line, without a beginning that is longer or cuts a character in two.
std::string end_of(std::string text, std::size_t n_bytes) {
  std::ranges::replace(text, '\n', ' ');
  auto at = text.size() - std::min(text.size(), n_bytes);
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80)
    ++at;
  return text.substr(at);
}

} // namespace

void status_line::show(const std::string& progress, const std::string& text) {
  static const bool is_terminal = isatty(STDERR_FILENO) != 0;
  if (!is_terminal)
    return;
  const auto room = n_columns - std::min(n_columns, progress.size() + 4);
  std::cerr << "\r\033[K" << progress << "  \033[2m" << end_of(text, room) << "\033[0m" << std::flush;
  is_shown_ = true;
}

void status_line::clear() {
  if (is_shown_)
    std::cerr << "\r\033[K" << std::flush;
  is_shown_ = false;
}

std::string indented(const std::string& text) {
  std::istringstream in{text};
  std::string lines;
  std::string line = " ";
  for (std::string word; in >> word;) {
    if (line.size() + 1 + word.size() > n_columns) {
      lines += line + '\n';
      line = " ";
    }
    line += ' ' + word;
  }
  return lines + line + '\n';
}

} // namespace summarizer
