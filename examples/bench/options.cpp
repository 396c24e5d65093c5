#include "examples/bench/options.hpp"

#include "engine/kernels/packed_matrix.hpp"
#include "engine/model/model_folder.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <map>
#include <numeric>
#include <sstream>
#include <thread>

namespace souffleur::bench {

namespace {

constexpr int many_positions = 1 << 20;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

const std::map<std::string, tensor_type>& formats_by_name() {
  static const auto formats = [] {
    std::map<std::string, tensor_type> by_name;
    using enum tensor_type;
    for (const auto type : {f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k}) {
      by_name.emplace(lower_case(std::string{to_string(type)}), type);
    }
    return by_name;
  }();
  return formats;
}

/// What cannot be set before all options are known.
struct raw_values {
  std::vector<int> prefill = {512};
  std::vector<int> batches = {1, 8, 16, 32};
  std::string format = "table";
  std::vector<std::string> kernel_formats = {"q4_0", "q4_1", "q8_0", "q4_k", "q5_k", "q6_k"};
  std::string shape = "4096x4096";
};

std::string shape_complaint(const std::string& text, kernel_shape& shape) {
  std::istringstream in{text};
  char x = 0;
  constexpr int largest = 1 << 20;
  const bool read = static_cast<bool>(in >> shape.n_out >> x >> shape.n_in) && x == 'x' && in.eof();
  if (!read || shape.n_out < 1 || shape.n_in < 1 || shape.n_out > largest || shape.n_in > largest)
    return "--kernel-shape: \"" + text + "\" is not OUTxIN, such as 4096x1024";
  return "";
}

/// Whether rows of the shape are whole blocks of each format.
std::string blocks_complaint(const kernel_shape& shape, const std::vector<tensor_type>& formats) {
  for (const auto format : formats)
    if (const int n = std::max(block_values, block_shape_of(format).n_values); shape.n_in % n != 0)
      return "--kernel-shape: IN is " + std::to_string(shape.n_in) + ", not a multiple of " +
             std::to_string(n) + ", a block of " + std::string{to_string(format)};
  return "";
}

void add_options(CLI::App& app, options& o, raw_values& raw) {
  const auto list = [](CLI::Option* option) { return option->delimiter(',')->capture_default_str(); };
  list(app.add_option("-m,--model", o.models, "GGUF files, or names of fetched models"));
  app.add_option("--model-folder", o.model_folder, "where named models are")->capture_default_str();
  list(app.add_option("-t,--threads", o.threads, "threads of a forward pass"))->check(CLI::Range(1, 1024));
  list(app.add_option("-p,--prefill", raw.prefill, "tokens of a prefill; 0: none"))
      ->check(CLI::Range(0, many_positions));
  list(app.add_option("-d,--depth", o.depths, "positions in the cache before the timed ones"))
      ->check(CLI::Range(0, many_positions));
  list(app.add_option("-b,--batch", raw.batches, "sequences of a decode step, one row each; 0: no decode"))
      ->check(CLI::Range(0, 1024));
  list(app.add_option("--decode-steps", o.decode_steps, "steps of one timed decode"))
      ->check(CLI::Range(1, many_positions));
  list(app.add_option("--chunk", o.chunk_tokens, "most rows of one forward pass of a prefill"))
      ->check(CLI::Range(1, many_positions));
  app.add_flag("--curve", o.curve, "T(M): time of a pass of M rows of one sequence, all with logits");
  list(app.add_option("--curve-rows", o.curve_rows, "each M of the curve"))
      ->check(CLI::Range(1, 4096))
      ->default_str("1 to 64");
  app.add_flag("--profile", o.profile,
               "time by operator: a decode step of each --batch, or of batch 1, and a prefill");
  app.add_flag("--kernels", o.kernels, "matmul kernels by format and rows; needs no model");
  list(app.add_option("--kernel-formats", raw.kernel_formats, "of the weights, as GGUF names them"));
  list(app.add_option("--kernel-rows", o.kernel_rows, "rows of activations"))->check(CLI::Range(1, 65536));
  app.add_option("--kernel-shape", raw.shape, "of the weights, OUTxIN")->capture_default_str();
  app.add_option("-r,--repeats", o.repeats, "timings of each figure, after one to warm up")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("-f,--format", raw.format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("-o,--output", o.output, "file for the result (default: standard output)");
}

std::string formats_complaint(const std::vector<std::string>& names, std::vector<tensor_type>& formats) {
  for (const auto& name : names) {
    const auto known = formats_by_name().find(lower_case(name));
    if (known == formats_by_name().end()) {
      std::string complaint = "--kernel-formats: \"" + name + "\" is none of";
      for (const auto& [other, type] : formats_by_name())
        complaint += " " + other;
      return complaint;
    }
    formats.push_back(known->second);
  }
  return "";
}

std::vector<int> without_zeros(std::vector<int> values) {
  std::erase(values, 0);
  return values;
}

/// Prefill and decode run if they are named, or if nothing else is asked for. Empty, or what is wrong.
std::string settle(const CLI::App& app, const raw_values& raw, options& o) {
  const bool only_the_named = o.curve || o.profile || o.kernels;
  if (!only_the_named || app.count("--prefill") > 0)
    o.prefill_tokens = without_zeros(raw.prefill);
  if (!only_the_named || app.count("--batch") > 0)
    o.batches = without_zeros(raw.batches);
  o.profile_prefill_tokens = raw.prefill.front() > 0 ? raw.prefill.front() : 512;
  o.profile_batches = app.count("--batch") > 0 ? o.batches : std::vector{1};
  o.as_json = raw.format == "json";
  if (!o.needs_model() && !o.kernels)
    return "--prefill 0 and --batch 0 leave nothing to measure";
  auto complaint = shape_complaint(raw.shape, o.shape);
  if (complaint.empty())
    complaint = formats_complaint(raw.kernel_formats, o.kernel_formats);
  return complaint.empty() ? blocks_complaint(o.shape, o.kernel_formats) : complaint;
}

} // namespace

int options::most_new_positions() const {
  int most = profile ? std::max(profile_prefill_tokens, decode_steps) : 0;
  for (const int tokens : prefill_tokens)
    most = std::max(most, tokens);
  if (!batches.empty())
    most = std::max(most, decode_steps);
  if (curve)
    most = std::max(most, *std::max_element(curve_rows.begin(), curve_rows.end()));
  return most;
}

int options::most_sequences() const {
  return batches.empty() ? 1 : *std::max_element(batches.begin(), batches.end());
}

std::variant<options, command_line_exit> parse_command_line(int argc, const char* const* argv) {
  options o;
  raw_values raw;
  o.model_folder = default_model_folder();
  o.threads = {static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))};
  o.curve_rows.resize(64);
  std::iota(o.curve_rows.begin(), o.curve_rows.end(), 1);
  CLI::App app{
      "Measures Souffleur's engine: prefill and decode; on demand T(M), operators and kernels, which "
      "run alone unless --prefill or --batch stands beside them. Lists: 1,2,4.",
      "souffleur-bench"};
  app.get_formatter()->column_width(36);
  add_options(app, o, raw);
  std::ostringstream out;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, out, out);
    return command_line_exit{code == 0 ? 0 : 2, out.str()};
  }
  if (const auto complaint = settle(app, raw, o); !complaint.empty())
    return command_line_exit{2, complaint + "\n"};
  return o;
}

} // namespace souffleur::bench
