#include "examples/bench/report.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace souffleur::bench {

namespace {

/// Four digits are more than timings hold.
std::string text_of(double value) {
  char text[32];
  const double size = std::fabs(value);
  const int n_decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  std::snprintf(text, sizeof(text), "%.*f", n_decimals, value);
  return text;
}

std::string text_of(const boost::json::value& value) {
  if (value.is_string())
    return std::string{value.get_string()};
  if (value.is_double()) {
    char text[32];
    std::snprintf(text, sizeof(text), "%g", value.get_double());
    return text;
  }
  return boost::json::serialize(value);
}

using table_line = std::vector<std::string>;

table_line head_of(const measurement& one) {
  table_line head;
  for (const auto& [name, value] : one.settings)
    head.emplace_back(name);
  for (const auto& [name, figure] : one.figures)
    head.push_back(name);
  return head;
}

table_line line_of(const measurement& one) {
  table_line line;
  for (const auto& [name, value] : one.settings)
    line.push_back(text_of(value));
  for (const auto& [name, figure] : one.figures)
    line.push_back(text_of(figure.min) + " / " + text_of(figure.median) + " / " + text_of(figure.max));
  return line;
}

/// The first line is the head.
struct table {
  std::string work;
  std::vector<table_line> lines;
};

std::vector<table> tables_of(const std::vector<measurement>& all) {
  std::vector<table> tables;
  for (const auto& one : all) {
    const auto head = head_of(one);
    auto fits = [&](const table& known) { return known.work == one.work && known.lines.front() == head; };
    auto found = std::find_if(tables.begin(), tables.end(), fits);
    if (found == tables.end())
      found = tables.insert(tables.end(), table{one.work, {head}});
    found->lines.push_back(line_of(one));
  }
  return tables;
}

void write_lines(std::ostream& out, const std::vector<table_line>& lines) {
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], line[i].size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i)
      out << "  " << line[i] << (i + 1 < line.size() ? std::string(widths[i] - line[i].size(), ' ') : "");
    out << "\n";
  }
}

} // namespace

void write_table(std::ostream& out, const run_header& header, const std::vector<measurement>& all) {
  out << header.cpu << ", kernels for " << header.isa << "; min / median / max of " << header.n_repeats
      << "\n";
  for (const auto& table : tables_of(all)) {
    out << "\n" << table.work << "\n";
    write_lines(out, table.lines);
  }
}

void write_json(std::ostream& out, const run_header& header, const std::vector<measurement>& all) {
  boost::json::array list;
  for (const auto& one : all) {
    boost::json::object entry{{"work", one.work}};
    for (const auto& [name, value] : one.settings)
      entry[name] = value;
    for (const auto& [name, figure] : one.figures)
      entry[name] = {{"min", figure.min}, {"median", figure.median}, {"max", figure.max}};
    list.push_back(std::move(entry));
  }
  const boost::json::object document{{"cpu", header.cpu},
                                     {"isa", header.isa},
                                     {"repeats", header.n_repeats},
                                     {"measurements", std::move(list)}};
  out << boost::json::serialize(document) << "\n";
}

} // namespace souffleur::bench
