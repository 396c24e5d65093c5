#include "examples/load/svg_chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace souffleur::load {

namespace {

constexpr const char* colours[] = {"#4269d0", "#efb118", "#ff725c", "#6cc5b0",
                                   "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e"};
constexpr double left = 58, top = 34, width = 430, height = 210;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(value) >= 100 || value == std::floor(value) ? "%.0f" : "%.3g",
                value);
  return text;
}

std::string at(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string label(double x, double y, const std::string& text, const char* anchor = "start",
                  const char* more = "") {
  return "<text x='" + at(x) + "' y='" + at(y) + "' text-anchor='" + anchor + "' " + more + ">" +
         escaped(text) + "</text>\n";
}

/// Where a value stands on an axis, from 0 to 1.
struct axis {
  double low = 0;
  double high = 1;
  bool logarithmic = false;

  double place(double value) const {
    if (logarithmic)
      return std::log(std::max(value, low) / low) / std::log(high / low);
    return (value - low) / (high - low);
  }
  std::vector<double> ticks() const {
    std::vector<double> found;
    if (logarithmic) {
      for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10)
        for (const double factor : {1.0, 2.0, 5.0})
          if (decade * factor >= low * 0.999 && decade * factor <= high * 1.001)
            found.push_back(decade * factor);
      return found;
    }
    const double raw = (high - low) / 5;
    const double unit = std::pow(10, std::floor(std::log10(raw)));
    const double step = raw / unit < 1.5   ? unit
                        : raw / unit < 3.5 ? 2 * unit
                        : raw / unit < 7.5 ? 5 * unit
                                           : 10 * unit;
    for (double tick = std::ceil(low / step) * step; tick <= high * 1.001; tick += step)
      found.push_back(tick);
    return found;
  }
};

axis x_axis(const chart& drawn) {
  double low = 1e300;
  double high = -1e300;
  for (const auto& curve : drawn.curves)
    for (const auto& [x, y] : curve.points) {
      if (drawn.log_x && x <= 0)
        continue;
      low = std::min(low, x);
      high = std::max(high, x);
    }
  if (low > high)
    return {drawn.log_x ? 1.0 : 0.0, 10, drawn.log_x};
  if (!drawn.log_x)
    low = std::min(low, 0.0);
  if (high <= low * 1.01)
    high = low > 0 ? low * 2 : low + 1;
  return {low, high, drawn.log_x};
}

axis y_axis(const chart& drawn) {
  double high = 0;
  for (const auto& curve : drawn.curves)
    for (const auto& point : curve.points)
      high = std::max(high, point.second);
  return {0, high > 0 ? high : 1, false};
}

} // namespace

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text)
    switch (c) {
    case '&':
      safe += "&amp;";
      break;
    case '<':
      safe += "&lt;";
      break;
    case '>':
      safe += "&gt;";
      break;
    case '\'':
      safe += "&#39;";
      break;
    case '"':
      safe += "&quot;";
      break;
    default:
      safe += c;
    }
  return safe;
}

std::string svg_of(const chart& drawn) {
  const auto xs = x_axis(drawn);
  const auto ys = y_axis(drawn);
  const auto x_of = [&](double x) { return left + width * xs.place(x); };
  const auto y_of = [&](double y) { return top + height * (1 - ys.place(y)); };
  std::string svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 290' width='640' height='290' "
                    "font-family='sans-serif' font-size='11'>\n" +
                    label(left, 18, drawn.title, "start", "font-size='14'");
  for (const double tick : xs.ticks())
    svg += "<path d='M" + at(x_of(tick)) + " " + at(top) + "v" + at(height) + "' stroke='#ddd'/>\n" +
           label(x_of(tick), top + height + 15, number(tick), "middle");
  for (const double tick : ys.ticks())
    svg += "<path d='M" + at(left) + " " + at(y_of(tick)) + "h" + at(width) + "' stroke='#ddd'/>\n" +
           label(left - 5, y_of(tick) + 4, number(tick), "end");
  svg += label(left + width / 2, top + height + 32, drawn.x_title, "middle") + "<g transform='translate(14 " +
         at(top + height / 2) + ") rotate(-90)'>" + label(0, 0, drawn.y_title, "middle") + "</g>\n";
  for (std::size_t i = 0; i < drawn.curves.size(); ++i) {
    const auto* colour = colours[i % std::size(colours)];
    std::string path;
    std::string dots;
    for (const auto& [x, y] : drawn.curves[i].points) {
      if (drawn.log_x && x <= 0)
        continue;
      path += path.empty() ? 'M' : 'L';
      path += at(x_of(x)) + " " + at(y_of(y));
      if (drawn.with_dots)
        dots += "<circle cx='" + at(x_of(x)) + "' cy='" + at(y_of(y)) + "' r='3' fill='" + colour + "'/>\n";
    }
    svg += "<path d='" + path + "' fill='none' stroke='" + std::string{colour} + "' stroke-width='1.6'/>\n" +
           dots;
    const double y = top + 8 + 16 * static_cast<double>(i);
    svg += "<rect x='" + at(left + width + 12) + "' y='" + at(y - 8) + "' width='9' height='9' fill='" +
           colour + "'/>\n" + label(left + width + 26, y, drawn.curves[i].name);
  }
  return svg + "</svg>\n";
}

} // namespace souffleur::load
