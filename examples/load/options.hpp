// The command line of souffleur-load.
#pragma once

#include "examples/load/load_run.hpp"
#include "examples/load/summary.hpp"
#include "examples/load/target.hpp"
#include "examples/load/workload.hpp"

#include <string>
#include <variant>
#include <vector>

namespace souffleur::load {

struct output_files {
  std::string json;
  std::string csv;
  std::string markdown;
  std::string html;
};

struct run_options {
  std::string url = "http://127.0.0.1:8080";
  bool completions = false;
  request_settings requests;
  std::string workload_name = "chat";
  workload_options workload;
  load_settings load;             ///< without what differs between loads
  std::vector<int> clients = {1}; ///< a load each; empty: an open loop
  std::string open_loop;          ///< what reports call it
  service_level level;
  output_files files;
  bool texts = false;
  bool quiet = false;
  std::string label;
  std::string command; ///< as it was typed
};

struct compare_options {
  std::string before;
  std::string after;
  bool fail_if_worse = false;
};

struct command_line_exit {
  int code = 0;
  std::string text;
};

std::variant<run_options, compare_options, command_line_exit> parse_command_line(int argc,
                                                                                 const char* const* argv);

/// "ttft_ms=200,itl_ms=50"; fails on what it does not know.
result<service_level> parse_service_level(const std::string& text);

} // namespace souffleur::load
