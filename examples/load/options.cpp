#include "examples/load/options.hpp"

#include <boost/json/parse.hpp>

#include <CLI/CLI.hpp>

#include <sstream>

namespace souffleur::load {

namespace {

constexpr int many = 1 << 24;

/// What has to be put together once all options are known.
struct raw_values {
  double rate = 0;
  double end_rate = 0;
  double ramp_s = 0;
  double burstiness = 1;
  std::string trace;
  double trace_speed = 1;
  std::string level;
  std::string extra;
  int timeout_s = 600;
};

void add_target_options(CLI::App& app, run_options& o, raw_values& raw) {
  const auto group = [](CLI::Option* option) { return option->group("What is asked, and who"); };
  group(app.add_option("--url", o.url,
                       "http://HOST:PORT: OpenAI's server-sent events, of llama.cpp, vLLM and others, too; "
                       "ws://HOST:PORT/v1/stream: Souffleur's WebSocket"))
      ->capture_default_str();
  group(app.add_flag("--completions", o.completions, "/v1/completions instead of chats"));
  group(app.add_option("--model", o.requests.model, "that requests name"));
  group(app.add_option("--api-key", o.requests.api_key, "sent as Authorization: Bearer"));
  group(app.add_option("--max-tokens", o.load.max_tokens, "of an answer"))
      ->check(CLI::Range(1, many))
      ->capture_default_str();
  group(app.add_option("--temperature", o.requests.temperature))
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str();
  group(app.add_flag("--ignore-eos", o.requests.ignore_eos, "each answer has --max-tokens tokens"));
  group(app.add_option("--extra", raw.extra, "further members of each request, as a JSON object"));
  group(app.add_flag("--new-connections", o.load.new_connections,
                     "one for each request: llama.cpp's server drops its own after a streamed answer"));
  group(app.add_option("--timeout-s", raw.timeout_s, "of a request"))
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
}

std::string about_workloads() {
  std::string text;
  for (const auto& each : workload_names())
    text += std::string{text.empty() ? "" : "; "} + each.name + ": " + each.about;
  return text;
}

void add_workload_options(CLI::App& app, run_options& o) {
  const auto group = [](CLI::Option* option) { return option->group("Workload"); };
  std::vector<std::string> names;
  for (const auto& each : workload_names())
    names.emplace_back(each.name);
  group(app.add_option("--workload", o.workload_name, about_workloads()))
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  group(app.add_option("--prompts", o.workload.prompts,
                       "of chat: JSON lines with \"turns\", a list of strings"))
      ->check(CLI::ExistingFile);
  group(app.add_option("--prompt-words", o.workload.prompt_words,
                       "of a system prompt, a document or a random prompt"))
      ->check(CLI::Range(1, many))
      ->capture_default_str();
  group(app.add_option("--shared", o.workload.n_shared,
                       "system prompts, documents or questions that there are"))
      ->check(CLI::Range(1, many))
      ->capture_default_str();
  group(app.add_option("--turns", o.workload.n_turns, "of a conversation"))
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  group(app.add_option("--think-s", o.workload.think_s, "mean pause between an answer and the next turn"))
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  group(app.add_flag("--unique", o.workload.unique,
                     "each dialogue begins with another number, so that no prefix is shared"));
  group(app.add_option("--seed", o.workload.seed,
                       "another one makes other dialogues: a server remembers those of the run before"))
      ->capture_default_str();
}

void add_load_options(CLI::App& app, run_options& o, raw_values& raw) {
  const auto group = [](CLI::Option* option) { return option->group("Load"); };
  group(app.add_option("--clients", o.clients,
                       "closed loop: dialogues at a time; several numbers are loads one after the other"))
      ->delimiter(',')
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  group(app.add_option("--rate", raw.rate,
                       "open loop: dialogues that begin a second, whatever the server does"))
      ->check(CLI::Range(1e-6, 1e6));
  group(app.add_option(
            "--burstiness", raw.burstiness,
            "shape of the Gamma law of the gaps: 1 is Poisson, less comes in bursts, more is regular"))
      ->check(CLI::Range(1e-3, 1e6))
      ->capture_default_str();
  group(app.add_option("--ramp-to", raw.end_rate, "rate at the end of a ramp of --ramp-s"))
      ->check(CLI::Range(1e-6, 1e6));
  group(app.add_option("--ramp-s", raw.ramp_s))->check(CLI::Range(0.0, 1e6));
  group(app.add_option("--trace", raw.trace,
                       "open loop: lines with seconds, or with {\"timestamp\": milliseconds}"))
      ->check(CLI::ExistingFile);
  group(app.add_option("--trace-speed", raw.trace_speed, "2: in half the time"))
      ->check(CLI::Range(1e-6, 1e6))
      ->capture_default_str();
  group(
      app.add_option(
          "--max-in-flight", o.load.max_in_flight,
          "requests; those beyond it queue at the client, and their latencies count from when they are sent"))
      ->check(CLI::Range(0, many));
  group(app.add_option("--requests", o.load.n_requests, "of each load; dialogues that have begun are ended"))
      ->check(CLI::Range(1, many));
  group(app.add_option("--duration", o.load.duration_s,
                       "seconds in which dialogues begin (default: 10 without --requests)"))
      ->check(CLI::Range(0.0, 1e6));
  group(app.add_option("--warm-up", o.load.n_warm_up, "requests before each load, which do not count"))
      ->check(CLI::Range(0, many))
      ->capture_default_str();
  group(app.add_option("--probe-rate", o.load.probe_rate,
                       "requests for one token a second beside the load, reported apart"))
      ->check(CLI::Range(0.0, 1e4));
  group(app.add_option("--cancel-share", o.load.cancel_share, "of requests, that the client gives up"))
      ->check(CLI::Range(0.0, 1.0));
  group(app.add_option("--cancel-after", o.load.cancel_after, "outputs"))
      ->check(CLI::Range(1, many))
      ->capture_default_str();
}

void add_report_options(CLI::App& app, run_options& o, raw_values& raw) {
  const auto group = [](CLI::Option* option) { return option->group("Report"); };
  group(app.add_option("--slo", raw.level, "bounds for goodput: ttft_ms=…,itl_ms=…,tpot_ms=…,e2el_ms=…"));
  group(app.add_option("--json", o.files.json, "file for everything, with an entry for each request"));
  group(app.add_flag("--texts", o.texts, "the JSON file has the answers"));
  group(app.add_option("--csv", o.files.csv, "file with a line for each request"));
  group(app.add_option("--markdown", o.files.markdown, "file for the table that is printed"));
  group(app.add_option("--html", o.files.html, "file for a page with charts"));
  group(app.add_option("--label", o.label, "name of this run in reports"));
  group(app.add_flag("--quiet", o.quiet, "no line a second on standard error"));
}

void add_compare(CLI::App& app, compare_options& o) {
  auto* compare = app.add_subcommand("compare", "says what got worse from one --json file to another");
  compare->add_option("before", o.before)->required()->check(CLI::ExistingFile);
  compare->add_option("after", o.after)->required()->check(CLI::ExistingFile);
  compare->add_flag("--fail-if-worse", o.fail_if_worse, "leaves with 1 then");
}

std::string short_number(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// Empty, or what is wrong.
std::string settle_open_loop(const CLI::App& app, const raw_values& raw, run_options& o) {
  const bool ramp = app.count("--ramp-to") > 0;
  if (raw.rate <= 0 && raw.trace.empty())
    return ramp ? "--ramp-to needs --rate" : "";
  if (app.count("--clients") > 0)
    return "--clients is a closed loop, --rate and --trace are open ones: choose one";
  o.clients.clear();
  if (!raw.trace.empty()) {
    const auto readable = open_trace(raw.trace, raw.trace_speed);
    if (!readable)
      return "--trace: " + readable.error();
    o.open_loop = "trace";
    o.load.arrivals = [path = raw.trace, speed = raw.trace_speed] {
      return std::move(*open_trace(path, speed));
    };
    return "";
  }
  if (ramp != (raw.ramp_s > 0))
    return "--ramp-to and --ramp-s need each other";
  const arrival_options arrivals{raw.rate, ramp ? raw.end_rate : raw.rate, raw.ramp_s, raw.burstiness,
                                 o.workload.seed};
  o.open_loop = "rate " + short_number(raw.rate) + (ramp ? " to " + short_number(raw.end_rate) : "") +
                (raw.burstiness != 1 ? ", burstiness " + short_number(raw.burstiness) : "");
  o.load.arrivals = [arrivals] { return make_arrivals(arrivals); };
  return "";
}

std::string settle(const CLI::App& app, const raw_values& raw, run_options& o) {
  if (auto complaint = settle_open_loop(app, raw, o); !complaint.empty())
    return complaint;
  if (o.load.n_requests == 0 && o.load.duration_s == 0 && raw.trace.empty())
    o.load.duration_s = 10;
  o.load.seed = o.workload.seed;
  o.requests.timeout = std::chrono::seconds{raw.timeout_s};
  if (!raw.level.empty()) {
    const auto level = parse_service_level(raw.level);
    if (!level)
      return "--slo: " + level.error();
    o.level = *level;
  }
  if (!raw.extra.empty()) {
    boost::system::error_code error;
    const auto value = boost::json::parse(raw.extra, error);
    if (error || !value.is_object())
      return "--extra: not a JSON object";
    o.requests.extra = value.get_object();
  }
  return "";
}

} // namespace

result<service_level> parse_service_level(const std::string& text) {
  service_level level;
  std::istringstream parts{text};
  for (std::string part; std::getline(parts, part, ',');) {
    const auto equals = part.find('=');
    const auto name = part.substr(0, equals);
    auto* bound = name == "ttft_ms"   ? &level.ttft_ms
                  : name == "itl_ms"  ? &level.itl_ms
                  : name == "tpot_ms" ? &level.tpot_ms
                  : name == "e2el_ms" ? &level.e2el_ms
                                      : nullptr;
    if (bound == nullptr || equals == std::string::npos)
      return failure{"\"" + part + "\" is none of ttft_ms=…, itl_ms=…, tpot_ms=…, e2el_ms=…"};
    std::istringstream number{part.substr(equals + 1)};
    double value = 0;
    if (!(number >> value) || !number.eof() || value < 0)
      return failure{"\"" + part.substr(equals + 1) + "\" is not a number of milliseconds"};
    *bound = value;
  }
  return level;
}

std::variant<run_options, compare_options, command_line_exit> parse_command_line(int argc,
                                                                                 const char* const* argv) {
  run_options o;
  compare_options compare;
  raw_values raw;
  for (int i = 0; i < argc; ++i)
    o.command += (i == 0 ? "" : " ") + std::string{i == 0 ? "souffleur-load" : argv[i]};
  CLI::App app{"Loads a server that streams answers and says how it kept up. `souffleur-load compare A.json "
               "B.json` says what "
               "got worse.",
               "souffleur-load"};
  app.get_formatter()->column_width(32);
  add_target_options(app, o, raw);
  add_workload_options(app, o);
  add_load_options(app, o, raw);
  add_report_options(app, o, raw);
  add_compare(app, compare);
  std::ostringstream out;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, out, out);
    return command_line_exit{code == 0 ? 0 : 2, out.str()};
  }
  if (app.got_subcommand("compare"))
    return compare;
  if (const auto complaint = settle(app, raw, o); !complaint.empty())
    return command_line_exit{2, complaint + "\n"};
  return o;
}

} // namespace souffleur::load
