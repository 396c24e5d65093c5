// souffleur-bench: how fast the engine is on this machine, and how fast the machine would let it be.
#include "engine/model/load_model.hpp"
#include "engine/model/model_folder.hpp"
#include "examples/bench/report.hpp"
#include "examples/bench/runs.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <new>

namespace {

using namespace souffleur;
using namespace souffleur::bench;

using measurements = std::vector<measurement>;

void append(measurements& all, const measurements& more) { all.insert(all.end(), more.begin(), more.end()); }

/// Empty, or which model is missing: known before minutes of work on the others.
std::string complaint_about_models(const options& how) {
  for (const auto& model : how.models)
    if (how.needs_model() && find_model_file(model, how.model_folder).empty())
      return "--model: \"" + model + "\" is neither a file nor a model in " + how.model_folder +
             "; conf/get_model.py NAME fetches smollm2, qwen-0.5b or qwen-1.5b";
  return "";
}

result<subject> load(const std::string& model, const options& how, int n_threads, progress& report) {
  const auto path = find_model_file(model, how.model_folder);
  const auto file = gguf_file::open(path);
  if (!file)
    return failure{file.error()};
  const int depth = *std::max_element(how.depths.begin(), how.depths.end());
  const int n_positions = depth + how.most_new_positions();
  const int n_sequences = how.most_sequences();
  const auto loaded = load_model(*file, {n_threads, sequences::n_pages_needed(n_sequences, n_positions)},
                                 [&](double fraction) { report.say("loading " + model, fraction); });
  if (!loaded)
    return failure{path + ": " + loaded.error()};
  if (n_positions > (*loaded)->context_length())
    return failure{path + ": depth " + std::to_string(depth) + " and " +
                   std::to_string(how.most_new_positions()) +
                   " tokens after it are more than the model's context of " +
                   std::to_string((*loaded)->context_length())};
  return subject{model, n_threads, sequences{*loaded, n_sequences, n_positions, how.chunk_tokens}};
}

result<measurements> run_model(const std::string& model, const options& how, int n_threads,
                               progress& report) {
  auto loaded = load(model, how, n_threads, report);
  if (!loaded)
    return failure{loaded.error()};
  measurements all;
  append(all, run_prefill(*loaded, how, report));
  append(all, run_decode(*loaded, how, report));
  if (how.curve)
    append(all, run_curve(*loaded, how, report));
  if (how.profile)
    append(all, run_profile(*loaded, how, report));
  return all;
}

/// The machine's figures first, then what was asked for.
result<measurements> run(const options& how) {
  progress report;
  measurements machine, models, kernels;
  for (const int n_threads : how.threads) {
    report.say("the machine itself, threads " + std::to_string(n_threads));
    const auto figures = measure_machine(n_threads, how.repeats);
    append(machine, measurements_of(figures));
    if (how.needs_model())
      for (const auto& model : how.models) {
        const auto measured = run_model(model, how, n_threads, report);
        if (!measured)
          return failure{measured.error()};
        append(models, *measured);
      }
    if (how.kernels)
      append(kernels, run_kernels(how, figures, report));
  }
  append(machine, models);
  append(machine, kernels);
  return machine;
}

int fail(const std::string& why) {
  std::fprintf(stderr, "souffleur-bench: %s\n", why.c_str());
  return 1;
}

int bench_main(const options& how) {
  if (const auto complaint = complaint_about_models(how); !complaint.empty())
    return fail(complaint);
  std::ofstream file;
  if (!how.output.empty()) {
    file.open(how.output);
    if (!file)
      return fail("--output: cannot write \"" + how.output + "\"");
  }
  std::ostream& out = how.output.empty() ? std::cout : file;
  const auto all = run(how);
  if (!all)
    return fail(all.error());
  const run_header header{cpu_name(), std::string{to_string(best_isa())}, how.repeats};
  if (how.as_json)
    write_json(out, header, *all);
  else
    write_table(out, header, *all);
  out.flush();
  return out ? 0 : fail("the result could not be written");
}

} // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (const auto* leave = std::get_if<command_line_exit>(&parsed)) {
    std::fputs(leave->text.c_str(), leave->code == 0 ? stdout : stderr);
    return leave->code;
  }
  try {
    return bench_main(std::get<options>(parsed));
  } catch (const std::bad_alloc&) {
    return fail("not enough memory; a smaller --batch, --depth or --kernel-shape needs less");
  }
}
