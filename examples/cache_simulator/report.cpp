#include "examples/cache_simulator/report.hpp"

#include <algorithm>
#include <array>
#include <iomanip>
#include <limits>
#include <ostream>
#include <span>

namespace souffleur::cache_simulator {

namespace {

std::string xml(const std::string& text) {
  auto safe = std::string{};
  for (const auto c : text) {
    safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return safe;
}

void label(std::ostream& out, int x, int y, const std::string& text) {
  out << "<text x=\"" << x << "\" y=\"" << y << "\">" << xml(text) << "</text>\n";
}

void bar(std::ostream& out, int x, int y, double width, const char* colour) {
  out << "<rect x=\"" << x << "\" y=\"" << y << "\" height=\"10\" width=\"" << width << "\" fill=\"" << colour
      << "\"/>\n";
}

/// The least of some values, and where it was found.
struct worst {
  double value = std::numeric_limits<double>::infinity();
  const comparison* where = nullptr;

  void see(double one, const comparison& here) {
    if (one < value) {
      *this = {one, &here};
    }
  }
  void print(std::ostream& out, int n_decimals) const {
    if (where) {
      out << std::setprecision(n_decimals) << value << " | " << where->trace_name << ", " << where->n_pages
          << " pages, seed " << where->seed << " |";
    } else {
      out << "- | |";
    }
  }
};

} // namespace

std::vector<comparison> over_seeds(const std::vector<comparison>& all) {
  auto merged = std::vector<comparison>{};
  for (const auto& one : all) {
    const auto same = std::ranges::find_if(merged, [&](const auto& other) {
      return one.trace_name == other.trace_name && one.n_pages == other.n_pages;
    });
    if (same == merged.end()) {
      merged.push_back(one);
      continue;
    }
    for (auto i = std::size_t{0}; i < one.outcomes.size(); ++i) {
      same->outcomes[i].add(one.outcomes[i]);
    }
  }
  return merged;
}

void print_summary(std::ostream& out, const std::vector<comparison>& all) {
  out << "| strategy | worst part of the best | there | worst points above lru | there |\n"
         "|---|---|---|---|---|\n"
      << std::fixed;
  const auto n_strategies = all.empty() ? 0 : all.front().outcomes.size() - 1;
  for (auto i = std::size_t{0}; i < n_strategies; ++i) {
    auto ratio = worst{};
    auto difference = worst{};
    for (const auto& row : all) {
      const auto rate = row.outcomes[i].hit_rate();
      const auto strategies = std::span(row.outcomes).first(n_strategies);
      const auto best = std::ranges::max(strategies, {}, &outcome::hit_rate).hit_rate();
      ratio.see(best > 0 ? rate / best : 1, row);
      if (const auto lru = std::ranges::find(strategies, "lru", &outcome::strategy);
          lru != strategies.end()) {
        difference.see(100 * (rate - lru->hit_rate()), row);
      }
    }
    out << "| " << all.front().outcomes[i].strategy << " | ";
    ratio.print(out, 3);
    out << ' ';
    difference.print(out, 2);
    out << '\n';
  }
}

void print_table(std::ostream& out, const std::vector<comparison>& all) {
  if (all.empty()) {
    return;
  }
  out << "| trace | pages |";
  for (const auto& one : all.front().outcomes) {
    out << ' ' << one.strategy << " |";
  }
  out << "\n|---|---|";
  for (auto i = all.front().outcomes.size(); i > 0; --i) {
    out << "---|";
  }
  out << '\n' << std::fixed << std::setprecision(1);
  for (const auto& row : all) {
    out << "| " << row.trace_name << " | " << row.n_pages << " |";
    for (const auto& one : row.outcomes) {
      out << ' ' << 100 * one.hit_rate() << " / " << 100 * one.cost_rate() << " |";
    }
    out << '\n';
  }
}

void plot(std::ostream& out, const std::vector<comparison>& all) {
  constexpr auto colours =
      std::array{"#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#888888"};
  const auto n_bars = all.empty() ? 0 : static_cast<int>(all.front().outcomes.size());
  const auto group = 16 * n_bars + 24;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\""
      << group * static_cast<int>(all.size()) + 10 << "\" font-family=\"sans-serif\" font-size=\"11\">\n"
      << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  auto y = 16;
  for (const auto& one : all) {
    label(out, 8, y, one.trace_name + ", " + std::to_string(one.n_pages) + " pages: hit rate in percent");
    y += 8;
    for (auto i = std::size_t{0}; i < one.outcomes.size(); ++i, y += 16) {
      const auto width = 500 * one.outcomes[i].hit_rate();
      label(out, 8, y + 9, one.outcomes[i].strategy);
      bar(out, 80, y, width, colours[i % colours.size()]);
      label(out, 86 + static_cast<int>(width), y + 9,
            std::to_string(static_cast<int>(100 * one.outcomes[i].hit_rate() + 0.5)));
    }
    y += 16;
  }
  out << "</svg>\n";
}

} // namespace souffleur::cache_simulator
