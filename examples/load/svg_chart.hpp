// Curves as inline SVG.
#pragma once

#include <string>
#include <vector>

namespace souffleur::load {

struct curve {
  std::string name;
  std::vector<std::pair<double, double>> points; ///< by rising x
};

struct chart {
  std::string title;
  std::string x_title;
  std::string y_title;
  bool log_x = false;
  bool with_dots = false;
  std::vector<curve> curves;
};

std::string svg_of(const chart& drawn);
/// For text between tags and in attributes.
std::string escaped(const std::string& text);

} // namespace souffleur::load
