// The page at /: files of net/page inside the program.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

struct page_file {
  std::string_view content;
  std::string_view content_type;
  std::string_view cache_control;
};

/// What is at `path`: "/" or "/page/NAME". Nothing: there is no such file.
std::optional<page_file> find_page_file(std::string_view path);

/// The page may ask nobody but its own server, run nothing but its own files, and be in nobody's frame.
extern const std::string_view page_security_policy;

} // namespace souffleur
