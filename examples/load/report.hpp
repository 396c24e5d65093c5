// One run as JSON, CSV, Markdown or a page.
#pragma once

#include "examples/load/load_run.hpp"
#include "examples/load/summary.hpp"

#include <boost/json/object.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace souffleur::load {

/// One load of a run and what came of it.
struct finished_load {
  std::string name; ///< such as "clients 8"
  bool queued_apart = false;
  load_outcome outcome;
  load_summary summary;
};

struct run_report {
  std::string date; ///< UTC, ISO 8601
  std::string command;
  std::string url;
  std::string workload;
  std::string machine;    ///< CPU, number of CPUs
  double load_before = 0; ///< load average of the machine
  std::string label;      ///< what the caller calls this run
  std::vector<finished_load> loads;
};

/// With an entry for each request; with the answers' texts if `texts`.
boost::json::object json_of(const run_report& report, bool texts);
/// A line for each request.
void write_csv(std::ostream& out, const run_report& report);
/// A table with a line for each load.
void write_markdown(std::ostream& out, const run_report& report);
/// One page with charts that needs nothing from elsewhere.
void write_html(std::ostream& out, const run_report& report);
/// 64 bits of an answer's text, in hexadecimal digits.
std::string digest_of(const std::string& text);

} // namespace souffleur::load
