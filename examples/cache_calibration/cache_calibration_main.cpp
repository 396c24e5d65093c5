// souffleur-cache-calibration: which similarity is enough, from pairs that somebody has labelled.
#include "examples/cache_calibration/report.hpp"

#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>

namespace {

using namespace souffleur;
using namespace souffleur::calibration_report;

struct options {
  std::string pairs;
  std::string vectors;
  std::string kind = "pairs";
  std::string basis = "request";
  std::vector<double> promises = {0.01, 0.02};
  double confidence = 0.95;
  std::uint64_t seed = 1;
  int n_repeats = 0;
  int n_shown = 0;
  double curve_step = 0;
};

void add_options(CLI::App& app, options& o) {
  app.add_option("PAIRS", o.pairs, R"(JSON lines {"a": text, "b": text, "duplicate": 0 or 1})")->required();
  app.add_option("VECTORS", o.vectors,
                 "little-endian float32 rows of the questions in order of appearance, each once")
      ->required();
  app.add_option("--traffic", o.kind, "pairs: b asked with a stored; stream: all, one after the other")
      ->check(CLI::IsMember({"pairs", "stream"}))
      ->capture_default_str();
  app.add_option("--per", o.basis, "what errors are a share of")
      ->check(CLI::IsMember({"request", "hit"}))
      ->capture_default_str();
  app.add_option("--max-error", o.promises, "to certify and to serve with, ascending")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--confidence", o.confidence)->check(CLI::Range(0.5, 0.999))->capture_default_str();
  app.add_option("--seed", o.seed, "of the halves")->capture_default_str();
  app.add_option("--repeats", o.n_repeats, "ways to halve the pairs, to see how often a promise breaks");
  app.add_option("--show", o.n_shown,
                 "so many false hits, those of a fixed 0.9 that are not served and those that are");
  app.add_option("--curve", o.curve_step, "prints hits and errors by threshold in such steps");
}

result<std::string> report(const options& o) {
  std::ifstream lines{o.pairs};
  const auto all = labelled_pairs::read(lines);
  if (!all)
    return failure{o.pairs + ": " + all.error()};
  std::ifstream bytes{o.vectors, std::ios::binary};
  const auto vectors = question_vectors::read(bytes, all->questions.size());
  if (!vectors)
    return failure{o.vectors + ": " + vectors.error()};
  trial what;
  what.kind = o.kind == "pairs" ? traffic::pairs : traffic::stream;
  what.basis = o.basis == "hit" ? error_basis::per_hit : error_basis::per_request;
  what.confidence = o.confidence;
  what.promises = o.promises;
  const auto [first, second] = halves_of(*all, o.seed);
  const auto calibration = requests_of(what.kind, *all, first, *vectors);
  const auto test = requests_of(what.kind, *all, second, *vectors);
  std::ostringstream out;
  out << calibration.size() << " requests to calibrate, " << test.size() << " to test\n\n";
  write_trial(out, what, calibration, test);
  out << '\n';
  write_false_hits(out, *all, what, calibration, test, o.n_shown);
  if (o.curve_step > 0) {
    write_equal_error(out << '\n', test);
    write_curve(out << '\n', lookups_of(test), o.curve_step);
  }
  for (const double promise : o.promises)
    if (o.n_repeats > 0)
      write_repeated(out, promise, repeat(*all, *vectors, what, promise, o.n_repeats));
  return out.str();
}

} // namespace

int main(int n_arguments, char** arguments) {
  CLI::App app{
      "Certifies thresholds for the semantic cache on half of the pairs, and tries them on the other."};
  options o;
  add_options(app, o);
  CLI11_PARSE(app, n_arguments, arguments);
  const auto text = report(o);
  if (!text) {
    std::cerr << text.error() << '\n';
    return 1;
  }
  std::cout << *text;
  return 0;
}
