// How long the response cache takes to find an answer by its key and by the meaning of the question, how
// often it finds the nearest one, and what an entry takes (the cache: resident, then as it counts); and from
// how many vectors on a graph finds faster than a scan. Vectors lie like those of questions
// (question_like_vectors.hpp). Prints tables.
//
// usage: souffleur_answer_cache_bench [--graph FILE] [--breadth N]... [ENTRIES...]
//   ENTRIES     10000 100000 if none are given; 1000000 takes 8 GB
//   --graph     the graph of the last of ENTRIES is read from FILE; if there is none, it is built and saved
//               there, which takes half an hour for 1000000
//   --breadth   candidates of a search
#include "engine/cache/answer_cache.hpp"
#include "engine/cache/hnsw_index.hpp"
#include "engine/process_memory.hpp"
#include "tests/engine/cache/question_like_vectors.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t n_dimensions = 384;
constexpr std::size_t n_queries = 1000;
constexpr std::size_t n_candidates = 4;
constexpr int n_answer_tokens = 60;
/// Larger caches are searched by a scan here, and the graph is timed without the cache around it.
constexpr std::size_t most_to_build_again = 20'000;

struct settings {
  std::vector<std::size_t> sizes;
  std::vector<std::size_t> breadths;
  std::string graph_file;
};

double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

struct percentiles {
  double p50_us = 0, p99_us = 0;
};

/// Of `work(i)` for all i below n, once it has warmed up.
percentiles time_each(std::size_t n, const std::function<void(std::size_t)>& work) {
  std::vector<double> times_us;
  for (int round = 0; round < 2; ++round) {
    times_us.clear();
    for (std::size_t i = 0; i < n; ++i) {
      const auto start = clock::now();
      work(i);
      times_us.push_back(seconds_since(start) * 1e6);
    }
  }
  std::sort(times_us.begin(), times_us.end());
  return {times_us[n / 2], times_us[n * 99 / 100]};
}

/// Questions are the vectors from 0 on; queries come behind all of them.
struct world {
  question_like_vectors vectors{n_dimensions, 1};
  std::vector<std::vector<float>> queries;

  explicit world(std::size_t largest) {
    for (std::size_t i = 0; i < n_queries; ++i)
      queries.push_back(vectors.at(largest + i));
  }
};

key_digest digest_of(std::uint64_t number) {
  key_encoder encoder;
  encoder.add(static_cast<std::int64_t>(number));
  return encoder.digest();
}

void progress(const char* what, std::size_t done, std::size_t all, clock::time_point start) {
  if (done % 10'000 == 0)
    std::fprintf(stderr, "\r%s: %zu of %zu, %.0f s ", what, done, all, seconds_since(start));
  if (done == all)
    std::fprintf(stderr, "\n");
}

std::unique_ptr<hnsw_index> build_graph(const vector_index& flat) {
  auto graph = hnsw_index::make(n_dimensions, flat.size());
  const auto start = clock::now();
  std::size_t n_done = 0;
  flat.for_each([&](vector_id id, std::span<const float> vector) {
    graph->add(id, vector);
    progress("graph", ++n_done, flat.size(), start);
  });
  std::printf("building the graph of %zu took %.0f s\n", flat.size(), seconds_since(start));
  return graph;
}

double recall(const vector_index& index, const world& all, const std::vector<neighbour>& nearest) {
  std::size_t n_found = 0;
  for (std::size_t i = 0; i < n_queries; ++i) {
    const auto found = index.nearest(all.queries[i], 1);
    n_found += !found.empty() && found[0].similarity > nearest[i].similarity - 1e-6F ? 1 : 0;
  }
  return static_cast<double>(n_found) / n_queries;
}

void report(std::size_t n, const std::string& what, const percentiles& times, std::optional<double> found,
            double bytes_each) {
  std::printf("%9zu  %-22s %9.1f %9.1f  %9s  %9.0f\n", n, what.c_str(), times.p50_us, times.p99_us,
              found ? std::to_string(*found).c_str() : "", bytes_each);
  std::fflush(stdout);
}

double per_entry(std::size_t n_bytes, std::size_t n) {
  return static_cast<double>(n_bytes) / static_cast<double>(n);
}

/// The scan, then the graph with each breadth. False if there is no graph.
bool measure_indices(const world& all, std::size_t n, const settings& wanted, const std::string& file) {
  flat_index flat{n_dimensions};
  for (std::size_t i = 0; i < n; ++i)
    flat.add(i, all.vectors.at(i));
  auto graph = hnsw_index::load(file, n_dimensions);
  if (!graph) {
    graph = build_graph(flat);
    if (!graph || (!file.empty() && !graph->save(file)))
      return false;
  }
  std::vector<neighbour> nearest;
  for (const auto& query : all.queries)
    nearest.push_back(flat.nearest(query, 1)[0]);
  const auto scan = time_each(std::min(n_queries, 20'000'000 / n),
                              [&](std::size_t i) { flat.nearest(all.queries[i], n_candidates); });
  report(n, "scan", scan, 1, per_entry(flat.n_bytes(), n));
  for (const auto breadth : wanted.breadths) {
    graph->set_breadth(breadth);
    const auto times =
        time_each(n_queries, [&](std::size_t i) { graph->nearest(all.queries[i], n_candidates); });
    report(n, "graph, breadth " + std::to_string(breadth > 0 ? breadth : hnsw_index::breadth_for(n)), times,
           recall(*graph, all, nearest), per_entry(graph->n_bytes(), n));
  }
  return true;
}

cache_entry_ptr entry_of(const world& all, std::uint64_t i) {
  cached_answer answer;
  for (int t = 0; t < n_answer_tokens; ++t)
    answer.pieces.push_back({t, " token", " token"});
  answer.n_tokens = n_answer_tokens;
  cache_entry entry;
  entry.exact = digest_of(i);
  entry.question = "How do I get a refund for train ticket number " + std::to_string(i) + "?";
  entry.embedding = all.vectors.at(i);
  entry.expires_s = 1;
  entry.answer = std::make_shared<const cached_answer>(std::move(answer));
  return std::make_shared<const cache_entry>(std::move(entry));
}

void measure_cache(const world& all, std::size_t n, std::size_t n_flat_most) {
  give_back_unused_memory();
  const auto before = resident_bytes();
  answer_cache cache{{.max_bytes = std::size_t{1} << 40,
                      .n_dimensions = n_dimensions,
                      .embedder = {},
                      .index = {.n_flat_most = n_flat_most}},
                     make_answer_eviction("gdsf")};
  for (std::size_t i = 0; i < n; ++i)
    cache.insert(entry_of(all, i), 0);
  bool is_graph = false;
  while (const auto begun = cache.begin_rebuild()) {
    begun->job->run();
    is_graph = cache.finish_rebuild(*begun);
  }
  std::vector<key_digest> keys;
  for (std::size_t i = 0; i < n_queries; ++i)
    keys.push_back(digest_of(i * 7919 % n));
  const auto by_key = time_each(n_queries, [&](std::size_t i) { cache.find(keys[i], 0); });
  report(n, "cache, by key", by_key, {}, per_entry(resident_bytes() - before, n));
  const auto by_meaning = time_each(std::min(n_queries, 20'000'000 / n), [&](std::size_t i) {
    cache.similar({}, all.queries[i], n_candidates, 0);
  });
  report(n, is_graph ? "cache, by graph" : "cache, by scan", by_meaning, {}, per_entry(cache.n_bytes(), n));
}

int run(const settings& wanted) {
  const world all{wanted.sizes.back()};
  std::printf("  entries  %-22s    p50 us    p99 us   recall@1  bytes each\n", "");
  for (const auto n : wanted.sizes) {
    const bool is_last = n == wanted.sizes.back();
    if (!measure_indices(all, n, wanted, is_last ? wanted.graph_file : std::string{}))
      return 1;
    measure_cache(all, n, n <= most_to_build_again ? 0 : n);
  }
  return 0;
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) {
  souffleur::settings wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--graph" && i + 1 < argc)
      wanted.graph_file = argv[++i];
    else if (word == "--breadth" && i + 1 < argc)
      wanted.breadths.push_back(std::strtoul(argv[++i], nullptr, 10));
    else
      wanted.sizes.push_back(std::strtoul(argv[i], nullptr, 10));
  }
  if (wanted.sizes.empty())
    wanted.sizes = {10'000, 100'000};
  if (wanted.breadths.empty())
    wanted.breadths = {0};
  return souffleur::run(wanted);
}
