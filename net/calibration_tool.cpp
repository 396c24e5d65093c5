#include "net/calibration_tool.hpp"

#include "engine/cache/calibration_file.hpp"
#include "engine/cache/labelled_traffic.hpp"
#include "engine/embedding/text_embedder.hpp"
#include "engine/model/model_folder.hpp"
#include "net/calibration_report.hpp"
#include "net/precision_plot.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <ostream>
#include <thread>

namespace souffleur {

namespace {

using embedding_progress = std::function<void(std::size_t, std::size_t)>;

/// A file that is read or written as a whole.
template <class Stream, class Use>
result<std::monostate> with_file(const std::string& path, const char* verb, Use use) {
  Stream file{path, std::ios::binary};
  const auto done =
      file ? use(file)
           : result<std::monostate>{failure{std::string{"cannot be "} + verb + ": " + std::strerror(errno)}};
  if (!done)
    return failure{path + ": " + done.error()};
  return done;
}

template <class Write>
result<std::monostate> write_file(const std::string& path, Write write) {
  return with_file<std::ofstream>(path, "written", [&](std::ofstream& file) -> result<std::monostate> {
    write(file);
    if (!file.flush())
      return failure{std::string{"cannot be written: "} + std::strerror(errno)};
    return std::monostate{};
  });
}

result<std::shared_ptr<text_embedder>> open_served_embedder(const calibration_options& o) {
  const auto models = o.model_folder.empty() ? default_model_folder() : o.model_folder;
  const auto folder = find_embedding_folder(o.embedding_model, models);
  if (folder.empty())
    return failure{"embedding.model: \"" + o.embedding_model +
                   "\" is neither a folder with a model.safetensors nor one in " + models +
                   "; ./serve --embedding.model minilm fetches minilm."};
  const auto files = open_embedder(folder);
  if (!files)
    return failure{files.error()};
  const auto n_threads =
      o.n_threads > 0 ? o.n_threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return load_embedder(*files, {n_threads, best_isa()});
}

question_vectors embed(text_embedder& embedder, const std::vector<std::string>& questions,
                       const embedding_progress& progress) {
  question_vectors made;
  made.n_dimensions = static_cast<std::size_t>(embedder.n_dimensions());
  made.rows.reserve(questions.size() * made.n_dimensions);
  for (std::size_t next = 0; next < questions.size();) {
    std::vector<wordpieces> block;
    for (std::size_t n_ids = 0; next < questions.size() && n_ids < embedding_block_rows; ++next) {
      block.push_back(embedder.encode(questions[next]));
      n_ids += block.back().ids.size();
    }
    std::vector<std::span<const token_id>> texts;
    for (const auto& text : block)
      texts.emplace_back(text.ids);
    for (const auto& vector : embedder.embed(texts))
      made.rows.insert(made.rows.end(), vector.begin(), vector.end());
    progress(next, questions.size());
  }
  return made;
}

/// The questions' vectors, and the fingerprint of what made them: empty if that is not known.
struct embedded_questions {
  question_vectors vectors;
  std::string embedder;
};

result<embedded_questions> vectors_of(const labelled_pairs& all, const calibration_options& o,
                                      const embedding_progress& progress) {
  if (!o.vectors.empty()) {
    embedded_questions read;
    const auto done =
        with_file<std::ifstream>(o.vectors, "read", [&](std::ifstream& file) -> result<std::monostate> {
          auto vectors = question_vectors::read(file, all.questions.size());
          if (!vectors)
            return failure{vectors.error()};
          read.vectors = std::move(*vectors);
          return std::monostate{};
        });
    return done ? result<embedded_questions>{std::move(read)} : failure{done.error()};
  }
  const auto embedder = open_served_embedder(o);
  if (!embedder)
    return failure{embedder.error()};
  return embedded_questions{embed(**embedder, all.questions, progress), (*embedder)->fingerprint()};
}

calibration_trial trial_of(const calibration_options& o) {
  calibration_trial what;
  what.kind = o.kind == "pairs" ? traffic::pairs : traffic::stream;
  what.basis = o.basis == "hit" ? error_basis::per_hit : error_basis::per_request;
  what.confidence = o.confidence;
  what.promises = o.promises;
  return what;
}

void write_report(std::ostream& out, const labelled_pairs& all, const question_vectors& vectors,
                  const calibration_options& o) {
  const auto what = trial_of(o);
  const auto [first, second] = halves_of(all, o.seed);
  const auto calibration = requests_of(what.kind, all, first, vectors);
  const auto test = requests_of(what.kind, all, second, vectors);
  out << calibration.size() << " requests to calibrate, " << test.size() << " to test\n\n";
  write_calibration(out, what, calibration, test);
  out << '\n';
  write_false_hits(out, all, what, calibration, test, o.n_shown);
  write_equal_error(out << '\n', test);
  write_curve(out << '\n', lookups_of(test), o.curve_step);
  for (const double promise : o.promises)
    if (o.n_repeats > 0)
      write_repeated(out << '\n', promise, repeat_calibration(all, vectors, what, promise, o.n_repeats));
}

/// Of all pairs: a server may use what a test has to keep back.
result<std::monostate> write_results(std::ostream& out, const labelled_pairs& all,
                                     const embedded_questions& questions, const calibration_options& o) {
  const auto what = trial_of(o);
  const auto lookups = lookups_of(requests_of(what.kind, all, all.pairs, questions.vectors));
  const auto made = calibrate(lookups, what.promises, what.confidence, what.basis);
  out << "\ncertified on all " << lookups.size() << " requests:";
  for (const auto& floor : made.floors)
    out << ' ' << 100 * floor.max_error << " % "
        << (floor.threshold > 1 ? std::string{"by no threshold"}
                                : "from " + std::to_string(floor.threshold).substr(0, 6))
        << (&floor == &made.floors.back() ? "\n" : ",");
  auto done = result<std::monostate>{std::monostate{}};
  if (!o.svg.empty())
    done = write_file(o.svg, [&](std::ostream& file) { write_precision_plot(file, lookups, made.floors); });
  if (done && !o.out.empty())
    done = write_file(o.out, [&](std::ostream& file) {
      calibration_file{made, questions.embedder, what.confidence, static_cast<int>(lookups.size())}.write(
          file);
    });
  return done;
}

} // namespace

void add_calibration_options(CLI::App& app, calibration_options& o) {
  app.add_option("PAIRS", o.pairs, R"(JSON lines {"a": text, "b": text, "duplicate": 0 or 1})")->required();
  app.add_option("--embedding.model", o.embedding_model, "a name or a folder")->capture_default_str();
  app.add_option("--model.folder", o.model_folder, "where named models are");
  app.add_option("--embedding.threads", o.n_threads, "0: one per CPU")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  auto* vectors =
      app.add_option("--vectors", o.vectors,
                     "little-endian float32 rows of the questions in order of appearance, each once, "
                     "instead of embedding them");
  app.add_option("--save-vectors", o.saved_vectors, "writes such a file")->excludes(vectors);
  app.add_option("--traffic", o.kind, "pairs: b asked with a stored; stream: all, one after the other")
      ->check(CLI::IsMember({"pairs", "stream"}))
      ->capture_default_str();
  app.add_option("--per", o.basis, "what errors are a share of")
      ->check(CLI::IsMember({"request", "hit"}))
      ->capture_default_str();
  app.add_option("--max-error", o.promises, "to certify and to serve with, ascending")
      ->delimiter(',')
      ->check(CLI::Range(0.0001, 0.5))
      ->capture_default_str();
  app.add_option("--confidence", o.confidence)->check(CLI::Range(0.5, 0.999))->capture_default_str();
  app.add_option("--seed", o.seed, "of the halves")->capture_default_str();
  app.add_option("--repeats", o.n_repeats, "ways to halve the pairs, to see how often a promise breaks")
      ->check(CLI::Range(0, 10'000));
  app.add_option("--show", o.n_shown,
                 "so many false hits, those of a fixed 0.9 that are not served and those that are")
      ->check(CLI::Range(0, 1 << 30));
  app.add_option("--curve", o.curve_step, "steps of the precision and recall that are printed")
      ->check(CLI::Range(0.0025, 0.5))
      ->capture_default_str();
  app.add_option("--svg", o.svg, "writes precision and recall as a picture");
  app.add_option("--out", o.out, "writes what the server reads as cache.calibration")->excludes(vectors);
}

result<std::monostate> run_calibration(const calibration_options& o, std::ostream& out,
                                       const embedding_progress& progress) {
  if (!std::is_sorted(o.promises.begin(), o.promises.end()))
    return failure{"max-error: has to ascend"};
  labelled_pairs all;
  const auto read =
      with_file<std::ifstream>(o.pairs, "read", [&](std::ifstream& file) -> result<std::monostate> {
        auto pairs = labelled_pairs::read(file);
        if (!pairs)
          return failure{pairs.error()};
        all = std::move(*pairs);
        return std::monostate{};
      });
  if (!read)
    return read;
  if (all.pairs.empty())
    return failure{o.pairs + ": has no pairs"};
  const auto questions = vectors_of(all, o, progress);
  if (!questions)
    return failure{questions.error()};
  if (!o.saved_vectors.empty()) {
    const auto saved = write_file(o.saved_vectors, [&](std::ostream& file) {
      const auto& rows = questions->vectors.rows;
      file.write(reinterpret_cast<const char*>(rows.data()),
                 static_cast<std::streamsize>(rows.size() * sizeof(float)));
    });
    if (!saved)
      return saved;
  }
  write_report(out, all, questions->vectors, o);
  return write_results(out, all, *questions, o);
}

} // namespace souffleur
