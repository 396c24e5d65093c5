#include "net/cache_tools.hpp"

#include "engine/cache/open_store.hpp"
#include "engine/cache/sqlite_store.hpp"
#include "engine/unix_time.hpp"
#include "net/answer_transfer.hpp"
#include "net/calibration_tool.hpp"
#include "net/stored_answers.hpp"
#include "policies/cache_key.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

namespace souffleur {

namespace {

struct tool_options {
  store_options store;
  std::size_t n_listed = 20;
  bool as_json = false;
  std::string tenant;
  bool all = false;
  std::string key;
  std::string file;
  calibration_options calibration;
};

struct tool_streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

/// Overwrites one line of a terminal; elsewhere it says nothing.
transfer_progress progress_line(std::ostream& err, const std::string& verb) {
  const bool is_shown = &err == &std::cerr && isatty(STDERR_FILENO) != 0;
  return [&err, verb, is_shown](std::size_t n_done, std::size_t n_all) {
    if (is_shown)
      err << '\r' << verb << ' ' << n_done << " of " << n_all << (n_done == n_all ? "\n" : "") << std::flush;
  };
}

std::string name_of(const store_options& store) {
  return store.where == "auto" ? default_store_file() : store.where;
}

bool is_address(const store_options& store) { return store.where.find("://") != std::string::npos; }

enum class missing_file : std::uint8_t { refuse, make };

result<std::shared_ptr<answer_store>> open_stored(store_options store, missing_file missing) {
  std::error_code ignored;
  if (store.where == "memory")
    return failure{"cache.store: memory keeps nothing"};
  if (missing == missing_file::refuse && !is_address(store) &&
      !std::filesystem::exists(name_of(store), ignored))
    return failure{name_of(store) + ": there is no such file"};
  // Its bounds are the server's business: no tool removes answers to keep one, and people can wait.
  store.max_bytes = std::uint64_t{1} << 60;
  store.timeout_ms = 5000;
  return open_store(store);
}

std::string answers_text(std::size_t n) { return std::to_string(n) + (n == 1 ? " answer" : " answers"); }

result<std::monostate> stats(const tool_options& o, const tool_streams& io) {
  const auto store = open_stored(o.store, missing_file::refuse);
  return store ? write_statistics(io.out << name_of(o.store) << '\n', **store, unix_now_s())
               : failure{store.error()};
}

result<std::monostate> list(const tool_options& o, const tool_streams& io) {
  const auto store = open_stored(o.store, missing_file::refuse);
  if (!store)
    return failure{store.error()};
  return write_list(io.out, **store, unix_now_s(), o.n_listed,
                    o.as_json ? list_format::json : list_format::text);
}

/// Keys of clients had better not be seen in a list of processes.
std::string tenant_of(const tool_options& o, const tool_streams& io) {
  std::string name = o.tenant;
  if (name == "-")
    std::getline(io.in, name);
  return name;
}

result<std::monostate> forget(const tool_options& o, const tool_streams& io) {
  const auto store = open_stored(o.store, missing_file::refuse);
  if (!store)
    return failure{store.error()};
  const auto n = o.all            ? forget_all(**store)
                 : !o.key.empty() ? forget_key(**store, o.key, unix_now_s())
                                  : (*store)->forget(cache_owner(tenant_of(o, io)));
  if (!n)
    return failure{n.error()};
  io.out << answers_text(*n) << " forgotten\n";
  return std::monostate{};
}

result<std::size_t> export_to_file(answer_store& store, const std::string& path,
                                   const transfer_progress& progress) {
  const auto unfinished = path + ".part";
  std::error_code error;
  std::filesystem::remove(unfinished, error);
  const auto mask = ::umask(S_IRWXG | S_IRWXO); // answers are their owner's alone
  std::ofstream file{unfinished, std::ios::binary};
  ::umask(mask);
  if (!file)
    return failure{unfinished + ": cannot be made: " + std::strerror(errno)};
  auto n = export_answers(store, file, unix_now_s(), progress);
  file.close();
  if (n && file)
    std::filesystem::rename(unfinished, path, error);
  if (n && file && !error)
    return n;
  std::error_code ignored;
  std::filesystem::remove(unfinished, ignored);
  return n && error ? failure{path + ": " + error.message()} : failure{unfinished + ": cannot be written"};
}

result<std::monostate> export_all(const tool_options& o, const tool_streams& io) {
  const auto store = open_stored(o.store, missing_file::refuse);
  if (!store)
    return failure{store.error()};
  const auto progress = progress_line(io.err, "exported");
  const auto n = o.file == "-" ? export_answers(**store, io.out, unix_now_s(), progress)
                               : export_to_file(**store, o.file, progress);
  if (!n)
    return failure{n.error()};
  io.err << answers_text(*n) << " exported\n";
  return std::monostate{};
}

result<std::monostate> import_all(const tool_options& o, const tool_streams& io) {
  if (is_address(o.store)) // there, a server has to say what its vectors are made by
    return failure{"cache.store: answers are imported to a file only"};
  std::ifstream lines{o.file, std::ios::binary};
  if (!lines)
    return failure{o.file + ": cannot be read: " + std::strerror(errno)};
  const auto store = open_stored(o.store, missing_file::make);
  if (!store)
    return failure{store.error()};
  const auto counts = import_answers(**store, lines, unix_now_s(), progress_line(io.err, "imported"));
  if (!counts)
    return failure{o.file + ": " + counts.error()};
  io.err << answers_text(counts->n_stored) << " imported, " << counts->n_expired << " had expired\n";
  return std::monostate{};
}

result<std::monostate> calibrate(const tool_options& o, const tool_streams& io) {
  return run_calibration(o.calibration, io.out, progress_line(io.err, "embedded"));
}

using tool = result<std::monostate> (*)(const tool_options&, const tool_streams&);

/// Sets `chosen` when the subcommand is given.
CLI::App& add_tool(CLI::App& app, const std::string& name, const std::string& what, tool run, tool& chosen) {
  auto* made = app.add_subcommand(name, what);
  made->fallthrough();
  made->callback([run, &chosen] { chosen = run; });
  return *made;
}

void add_forget(CLI::App& app, tool_options& o, tool& chosen) {
  auto& made = add_tool(app, "forget", "removes answers from the file, and overwrites them", forget, chosen);
  auto* which = made.add_option_group("which");
  which->add_option(
      "--tenant", o.tenant,
      "those of one tenant: its name in server.api_keys, or, without that, its Authorization header "
      "as \"Bearer KEY\"; empty: of clients without one; -: read from the standard input");
  which->add_flag("--all", o.all, "everything");
  which->add_option("--key", o.key, "the one whose key begins with these digits, as `list` prints them")
      ->check([](const std::string& digits) {
        const bool is_key = digits.size() >= 8 && digits.size() <= 64 &&
                            digits.find_first_not_of("0123456789abcdef") == std::string::npos;
        return is_key ? std::string{} : std::string{"at least 8 hexadecimal digits"};
      });
  which->require_option(1);
}

void add_tools(CLI::App& app, tool_options& o, tool& chosen) {
  app.add_option("--cache.store", o.store.where,
                 "where they are, as a server is told: auto (" + default_store_file() +
                     "), a file, redis://HOST or unix:///SOCKET")
      ->capture_default_str();
  app.add_option("--cache.store_prefix", o.store.prefix, "of the names of the keys in a Redis server")
      ->capture_default_str();
  add_tool(app, "stats", "how many answers there are, by tenant", stats, chosen);
  auto& listing =
      add_tool(app, "list", "the first questions, and the beginnings of their answers", list, chosen);
  listing.add_option("--limit", o.n_listed, "0: all")->check(CLI::Range(0, 1 << 30))->capture_default_str();
  listing.add_flag("--json", o.as_json, "whole texts, a line of JSON each");
  add_forget(app, o, chosen);
  add_tool(app, "export", "writes all answers as lines of JSON", export_all, chosen)
      .add_option("FILE", o.file, "-: to the standard output")
      ->required();
  add_tool(app, "import", "stores what `export` wrote; nothing if a line is wrong", import_all, chosen)
      .add_option("FILE", o.file)
      ->required();
  add_calibration_options(add_tool(app, "calibrate",
                                   "which similarity is enough, from labelled pairs of questions", calibrate,
                                   chosen),
                          o.calibration);
}

} // namespace

int run_cache_tools(int argc, const char* const* argv, std::istream& in, std::ostream& out,
                    std::ostream& err) {
  tool_options options;
  tool chosen = nullptr;
  CLI::App app{"What is done with stored answers, whether a server runs or not.", "souffleur cache"};
  app.require_subcommand(1);
  add_tools(app, options, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? 0 : 2;
  }
  const auto done = chosen(options, {in, out, err});
  if (!done)
    err << "souffleur cache: " << done.error() << '\n';
  return done ? 0 : 1;
}

} // namespace souffleur
