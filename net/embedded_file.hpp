// A file that is a part of the program.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace souffleur {

struct embedded_file {
  std::string_view name;
  std::string_view content;
};

/// Those of net/page, and `chart.js`. Defined by souffleur_embed() in CMakeLists.txt.
std::span<const embedded_file> page_files();

} // namespace souffleur
