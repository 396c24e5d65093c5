// How long a short text takes to embed alone, and how many are embedded in a second together, with the texts
// of the golden data. Prints a table, then the same as one line of JSON; figures are min / median / max of
// the rounds. usage: souffleur_embedding_bench MODEL_FOLDER [TEXTS.jsonl [ROUNDS]]     a line has a "text"
#include "engine/embedding/text_embedder.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace souffleur {
namespace {

namespace json = boost::json;
using clock = std::chrono::steady_clock;

constexpr const char* short_text = "How do I get a refund for my train ticket?";
constexpr std::size_t most_batch_ids = 64; ///< longer texts are no sentences

struct texts {
  std::vector<std::vector<token_id>> ids;
  std::size_t n_ids = 0;

  std::vector<std::span<const token_id>> views() const { return {ids.begin(), ids.end()}; }
};

texts read_texts(const text_embedder& embedder, const char* path) {
  texts read;
  std::ifstream lines{path};
  for (std::string line; std::getline(lines, line);) {
    auto ids = embedder.encode(json::parse(line).at("text").as_string()).ids;
    if (ids.size() > most_batch_ids)
      continue;
    read.n_ids += ids.size();
    read.ids.push_back(std::move(ids));
  }
  return read;
}

struct measured {
  double min = 0, median = 0, max = 0;
};

/// Of `work` in seconds, turned into the wanted figure.
measured measure(int n_rounds, const std::function<void()>& work,
                 const std::function<double(double)>& figure) {
  work();
  std::vector<double> figures;
  for (int i = 0; i < n_rounds; ++i) {
    const auto start = clock::now();
    work();
    figures.push_back(figure(std::chrono::duration<double>(clock::now() - start).count()));
  }
  std::sort(figures.begin(), figures.end());
  return {figures.front(), figures[figures.size() / 2], figures.back()};
}

json::object report(int n_threads, const char* what, const measured& m) {
  std::printf("%7d   %-30s %8.2f / %8.2f / %8.2f\n", n_threads, what, m.min, m.median, m.max);
  return {{"threads", n_threads}, {"figure", what}, {"min", m.min}, {"median", m.median}, {"max", m.max}};
}

void measure_one(text_embedder& embedder, int n_threads, int n_rounds, json::array& all) {
  const auto work = [&] {
    const auto ids = embedder.encode(short_text).ids;
    const std::span<const token_id> view{ids};
    embedder.embed({&view, 1});
  };
  const auto ms = measure(20 * n_rounds, work, [](double s) { return s * 1e3; });
  all.push_back(report(n_threads, "ms for one short text", ms));
}

void measure_many(text_embedder& embedder, const texts& many, int n_threads, int n_rounds, json::array& all) {
  const auto views = many.views();
  const auto a_second = measure(
      n_rounds, [&] { embedder.embed(views); },
      [&](double s) { return static_cast<double>(views.size()) / s; });
  all.push_back(report(n_threads, "texts a second, together", a_second));
}

int complain(const std::string& what) {
  std::fprintf(stderr, "souffleur_embedding_bench: %s\n", what.c_str());
  return 1;
}

int run(const char* folder, const char* path, int n_rounds) {
  const auto files = open_embedder(folder);
  if (!files)
    return complain(files.error());
  json::array all;
  for (const int n_threads : {1, 2}) {
    const auto embedder = load_embedder(*files, {n_threads, best_isa()});
    if (!embedder)
      return complain(embedder.error());
    const auto many = read_texts(**embedder, path);
    if (many.ids.empty())
      return complain(std::string{path} + ": has no texts");
    if (all.empty())
      std::printf("together: %zu texts of %.1f ids\nthreads   %-30s min / median / max\n", many.ids.size(),
                  static_cast<double>(many.n_ids) / static_cast<double>(many.ids.size()), "figure");
    measure_one(**embedder, n_threads, n_rounds, all);
    measure_many(**embedder, many, n_threads, n_rounds, all);
  }
  const json::object whole{{"isa", to_string(best_isa())}, {"rounds", n_rounds}, {"measurements", all}};
  std::printf("%s\n", json::serialize(whole).c_str());
  return 0;
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: souffleur_embedding_bench MODEL_FOLDER [TEXTS.jsonl [ROUNDS]]\n");
    return 2;
  }
  return souffleur::run(argv[1], argc > 2 ? argv[2] : "tests/golden/minilm.jsonl",
                        argc > 3 ? std::atoi(argv[3]) : 10);
}
