#include "net/precision_plot.hpp"

#include <algorithm>
#include <ostream>
#include <sstream>
#include <string>

namespace souffleur {

namespace {

constexpr double left = 60;
constexpr double top = 30;
constexpr double width = 480;
constexpr double height = 320;

struct place {
  double x = 0;
  double y = 0;
};

place at(double recall, double precision) { return {left + width * recall, top + height * (1 - precision)}; }

place place_of(const curve_point& point, double n_right) {
  return at(n_right == 0 ? 0 : (point.n_hits - point.n_errors) / n_right,
            1 - point.error(error_basis::per_hit));
}

void write_text(std::ostream& out, place where, const std::string& anchor, const std::string& text) {
  out << "<text x=\"" << where.x << "\" y=\"" << where.y << "\" text-anchor=\"" << anchor << "\">" << text
      << "</text>\n";
}

void write_axes(std::ostream& out) {
  for (int percent = 0; percent <= 100; percent += 20) {
    const auto x = at(percent / 100.0, 0);
    const auto y = at(0, percent / 100.0);
    out << "<path d=\"M" << x.x << ' ' << top << "V" << top + height << "M" << left << ' ' << y.y << "H"
        << left + width << "\" stroke=\"#ddd\"/>\n";
    write_text(out, {x.x, x.y + 16}, "middle", std::to_string(percent));
    write_text(out, {y.x - 8, y.y + 4}, "end", std::to_string(percent));
  }
  write_text(out, {left + width / 2, top + height + 34}, "middle", "recall in percent");
  write_text(out, {left, top - 12}, "middle", "precision in percent");
}

void write_line(std::ostream& out, std::span<const curve_point> curve, double n_right, const char* colour) {
  out << "<polyline fill=\"none\" stroke=\"" << colour << "\" stroke-width=\"2\" points=\"";
  for (const auto& point : curve)
    if (point.n_hits > 0) {
      const auto where = place_of(point, n_right);
      out << where.x << ',' << where.y << ' ';
    }
  out << "\"/>\n";
}

std::string rounded(double number, int n_digits) {
  std::ostringstream text;
  text.precision(n_digits);
  text << number;
  return text.str();
}

void write_floor(std::ostream& out, std::span<const curve_point> curve, double n_right,
                 const certified_floor& floor) {
  const auto found = std::find_if(curve.rbegin(), curve.rend(), [&](const curve_point& point) {
    return point.threshold >= floor.threshold - 1e-9 && point.n_hits > 0;
  });
  if (found == curve.rend())
    return;
  const auto where = place_of(*found, n_right);
  out << "<circle cx=\"" << where.x << "\" cy=\"" << where.y << "\" r=\"4\" fill=\"#c33\"/>\n";
  write_text(out, {where.x + 8, where.y - 6}, "start",
             rounded(100 * floor.max_error, 3) + " % from " + rounded(floor.threshold, 4));
}

} // namespace

void write_precision_plot(std::ostream& out, std::span<const labelled_lookup> lookups,
                          std::span<const certified_floor> floors) {
  const auto n_right = static_cast<double>(
      std::count_if(lookups.begin(), lookups.end(), [](const auto& one) { return one.right; }));
  const auto guarded = curve_of(lookups, true);
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" height=\"400\" font-family=\"sans-serif\" "
         "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  write_axes(out);
  write_line(out, curve_of(lookups, false), n_right, "#999");
  write_line(out, guarded, n_right, "#36c");
  for (const auto& floor : floors)
    write_floor(out, guarded, n_right, floor);
  write_text(out, {left + 12, top + height - 28}, "start", "grey: similarity alone; blue: with the guards;");
  write_text(out, {left + 12, top + height - 12}, "start", "dots: thresholds certified for so many errors");
  out << "</svg>\n";
}

} // namespace souffleur
