// souffleur-load: loads a server with streamed generations and reports how it kept up.
#include "examples/load/comparison.hpp"
#include "examples/load/live_progress.hpp"
#include "examples/load/options.hpp"
#include "examples/load/punctual_thread.hpp"
#include "examples/load/report.hpp"

#include <boost/asio/signal_set.hpp>
#include <boost/json/serialize.hpp>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <thread>

namespace {

using namespace souffleur;
using namespace souffleur::load;

int fail(const std::string& why) {
  std::fprintf(stderr, "souffleur-load: %s\n", why.c_str());
  return 1;
}

std::string utc_now() {
  const auto now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

std::string machine() {
  std::ifstream info{"/proc/cpuinfo"};
  std::string cpu = "unknown CPU";
  for (std::string line; std::getline(info, line);)
    if (line.compare(0, 10, "model name") == 0) {
      cpu = line.substr(line.find(':') + 2);
      break;
    }
  return cpu + ", " + std::to_string(std::thread::hardware_concurrency()) + " CPUs";
}

double load_average() {
  double average = 0;
  return getloadavg(&average, 1) == 1 ? average : 0;
}

/// Fails before minutes of load are spent.
std::string complaint_about_files(const output_files& files) {
  for (const auto* path : {&files.json, &files.csv, &files.markdown, &files.html})
    if (!path->empty() && !std::ofstream{*path, std::ios::app})
      return "cannot write \"" + *path + "\"";
  return "";
}

void write_files(const run_options& how, const run_report& report) {
  const auto& files = how.files;
  if (!files.json.empty())
    std::ofstream{files.json} << boost::json::serialize(json_of(report, how.texts)) << '\n';
  std::ofstream out;
  const auto write = [&](const std::string& path, auto writer) {
    if (path.empty())
      return;
    std::ofstream file{path};
    writer(file, report);
  };
  write(files.csv, write_csv);
  write(files.markdown, write_markdown);
  write(files.html, write_html);
}

/// The loads that are to be run, with their names.
std::vector<std::pair<std::string, load_settings>> loads_of(const run_options& how) {
  std::vector<std::pair<std::string, load_settings>> loads;
  if (how.clients.empty())
    loads.emplace_back(how.open_loop, how.load);
  for (const int n : how.clients) {
    loads.emplace_back("clients " + std::to_string(n), how.load);
    loads.back().second.n_clients = n;
  }
  for (std::size_t i = 0; i < loads.size(); ++i)
    loads[i].second.load = i;
  return loads;
}

int run(const run_options& how) {
  const auto what = make_workload(how.workload_name, how.workload);
  if (!what)
    return fail(what.error());
  const auto where = make_target(how.url, how.completions, how.requests);
  if (!where)
    return fail(where.error());
  if (const auto complaint = complaint_about_files(how.files); !complaint.empty())
    return fail(complaint);
  make_this_thread_punctual();
  run_report report{utc_now(), how.command,    how.url,   how.workload_name,
                    machine(), load_average(), how.label, {}};
  boost::asio::io_context io{1};
  bool stopping = false;
  boost::asio::signal_set signals{io, SIGINT, SIGTERM};
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error)
      return;
    stopping = true;
    std::fputs("\nno more requests begin; once more, and those that run are given up\n", stderr);
    signals.clear();
  });
  for (const auto& [name, settings] : loads_of(how)) {
    if (stopping)
      break;
    live_counts live;
    std::optional<live_progress> progress;
    if (!how.quiet)
      progress.emplace(io, name, live);
    finished_load load{
        name, settings.max_in_flight > 0, run_load(io, **where, **what, settings, live, stopping), {}};
    load.summary = summarize(load.outcome, load.queued_apart, how.level);
    report.loads.push_back(std::move(load));
  }
  write_markdown(std::cout, report);
  write_files(how, report);
  for (const auto& load : report.loads)
    if (load.summary.n_completed + load.summary.n_cancelled == 0)
      return fail(load.name + ": no request was answered");
  return 0;
}

int compare(const compare_options& how) {
  const auto found = compare_files(how.before, how.after);
  if (!found)
    return fail(found.error());
  write_comparison(std::cout, *found);
  return how.fail_if_worse && found->got_worse() ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (const auto* leave = std::get_if<command_line_exit>(&parsed)) {
    std::fputs(leave->text.c_str(), leave->code == 0 ? stdout : stderr);
    return leave->code;
  }
  if (const auto* how = std::get_if<compare_options>(&parsed))
    return compare(*how);
  return run(std::get<run_options>(parsed));
}
