// What sharing answers through Redis costs: on a server that searches by itself (8), and on one that feeds
// the local index (7). Prints a table; times are of one process that asks one thing after the other, through
// a Unix socket. usage: souffleur_redis_store_bench [ENTRIES [QUESTIONS]]
#include "engine/cache/redis_store.hpp"

#include "tests/engine/cache/redis_server.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace souffleur {
namespace {

using clock = std::chrono::steady_clock;
using testing::redis_server;
using testing::redis_version;
using vector = std::vector<float>;

constexpr std::size_t n_dimensions = 384;
constexpr int n_topics = 400;
constexpr unix_seconds now_s = 0; ///< nothing expires meanwhile
constexpr unix_seconds expires_s = 1'000'000'000'000;

double cosine(const vector& a, const vector& b) {
  float sum = 0;
  for (std::size_t i = 0; i < n_dimensions; ++i)
    sum += a[i] * b[i];
  return double{sum};
}

key_digest numbered(int number) {
  key_encoder encoder;
  encoder.add(std::int64_t{number});
  return encoder.digest();
}

/// Texts of topics: those of one are alike (cosine 0.64), and paraphrases more so (0.96).
class random_texts {
public:
  random_texts() {
    for (int i = 0; i < n_topics; ++i)
      topics_.push_back(mixed(vector(n_dimensions), 0, 1));
  }
  vector any() { return mixed(topics_[random_() % topics_.size()], 0.8, 0.6); }
  vector paraphrase(const vector& of) { return mixed(of, 0.96, 0.28); }

private:
  vector mixed(const vector& of, double weight, double noise) {
    vector made(n_dimensions);
    for (std::size_t i = 0; i < n_dimensions; ++i)
      made[i] = static_cast<float>(weight * of[i] + noise * normal_(random_) / std::sqrt(n_dimensions));
    const auto length = static_cast<float>(std::sqrt(cosine(made, made)));
    for (auto& x : made)
      x /= length;
    return made;
  }

  std::mt19937 random_{1};
  std::normal_distribution<double> normal_;
  std::vector<vector> topics_;
};

cache_entry entry_of(int number, vector embedding) {
  cache_entry entry;
  entry.exact = numbered(number);
  entry.question = "How do I get a refund for my train ticket?";
  entry.embedding = std::move(embedding);
  entry.embedder = "bench";
  entry.created_s = number;
  entry.expires_s = expires_s;
  entry.answer = std::make_shared<const cached_answer>(
      cached_answer{std::vector<answer_piece>(100, {1234, " word", " word"}), "", ""});
  return entry;
}

void report(const char* server, const char* what, std::vector<double> us) {
  std::sort(us.begin(), us.end());
  std::printf("%-8s %-44s %9.0f %9.0f\n", server, what, us[us.size() / 2], us[us.size() * 99 / 100]);
}

/// Of `n` calls, in microseconds.
std::vector<double> times_of(int n, const std::function<bool(int)>& call) {
  std::vector<double> us;
  for (int i = 0; i < n; ++i) {
    const auto start = clock::now();
    const bool is_done = call(i);
    us.push_back(std::chrono::duration<double, std::micro>(clock::now() - start).count());
    if (!is_done)
      std::fprintf(stderr, "call %d failed\n", i);
  }
  return us;
}

std::vector<cache_entry_ptr> fed(answer_store& store, const char* server) {
  std::vector<cache_entry_ptr> entries;
  const auto start = clock::now();
  std::string position;
  for (bool is_all = false; !is_all;) {
    const auto changes = store.changes_since(position, 1000, now_s);
    if (!changes)
      break;
    position = changes->position;
    is_all = changes->is_all;
    entries.insert(entries.end(), changes->added.begin(), changes->added.end());
  }
  const double s = std::chrono::duration<double>(clock::now() - start).count();
  std::printf("%-8s %zu entries were read at the start in %.2f s\n", server, entries.size(), s);
  return entries;
}

struct bench {
  redis_server server;
  std::unique_ptr<answer_store> store;
  const char* name;

  bench(redis_version version, const char* called) : server(version), name(called) {
    auto options = testing::patient_options(server.url());
    options.embedder = "bench";
    options.n_dimensions = n_dimensions;
    store = testing::opened(options);
  }

  void fill(const std::vector<vector>& texts) {
    const auto n_bytes = memory_bytes();
    report(name, "us for a put: p50, p99", times_of(static_cast<int>(texts.size()), [&](int i) {
             return store->put(entry_of(i, texts[static_cast<std::size_t>(i)])).ok();
           }));
    std::printf("%-8s %.0f bytes an entry in the server, of which %zu are its embedding\n", name,
                (memory_bytes() - n_bytes) / static_cast<double>(texts.size()), 4 * n_dimensions);
  }
  void look_up(int n_entries, int n_questions) {
    report(name, "us for a lookup by exact key: p50, p99", times_of(n_questions, [&](int i) {
             const auto found = store->get(numbered(i * 7919 % n_entries), now_s);
             return found && *found;
           }));
  }

  double memory_bytes() const {
    const auto reply = server.command({"INFO", "memory"});
    return std::atof(std::string{info_field(text_of(*reply).value_or(""), "used_memory")}.c_str());
  }
};

void compare(const std::vector<cache_entry_ptr>& known, bench& searching, const char* kind,
             const std::vector<vector>& questions) {
  int n_same = 0;
  const auto us = times_of(static_cast<int>(questions.size()), [&](int i) {
    return searching.store->nearest({}, questions[static_cast<std::size_t>(i)], 4, now_s).ok();
  });
  double worst = 0;
  for (const auto& question : questions) {
    const auto similarity = [&](const auto& entry) { return cosine(entry->embedding, question); };
    const auto best = *std::ranges::max_element(known, {}, similarity);
    const auto found = searching.store->nearest({}, question, 4, now_s);
    if (!found || found->empty() || found->front().exact != best->exact)
      continue;
    ++n_same;
    worst = std::max(worst, std::abs(found->front().similarity - similarity(best)));
  }
  report(searching.name, kind, us);
  std::printf(
      "%-8s   the nearest is that of an exact search over what Redis 7 has: %.4f; similarity within %.0e\n",
      searching.name, n_same / static_cast<double>(questions.size()), worst);
}

int run(int n_entries, int n_questions) {
  for (const auto version : {redis_version::seven, redis_version::eight})
    if (testing::redis_binary(version).empty()) {
      std::fprintf(stderr, "there is no redis-server; set SOUFFLEUR_REDIS_7 and SOUFFLEUR_REDIS_8\n");
      return 1;
    }
  random_texts texts;
  std::vector<vector> stored;
  for (int i = 0; i < n_entries; ++i)
    stored.push_back(texts.any());
  std::vector<vector> paraphrases;
  std::vector<vector> others;
  for (int i = 0; i < n_questions; ++i) {
    paraphrases.push_back(texts.paraphrase(stored[static_cast<std::size_t>(i * 7919LL % n_entries)]));
    others.push_back(texts.any());
  }
  bench seven{redis_version::seven, "Redis 7"};
  bench eight{redis_version::eight, "Redis 8"};
  for (auto* each : {&seven, &eight}) {
    each->fill(stored);
    each->look_up(n_entries, n_questions);
  }
  const auto known = fed(*seven.store, seven.name);
  compare(known, eight, "us to find 4 near a paraphrase: p50, p99", paraphrases);
  compare(known, eight, "us to find 4 near another question: p50, p99", others);
  return 0;
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) {
  return souffleur::run(argc > 1 ? std::atoi(argv[1]) : 20'000, argc > 2 ? std::atoi(argv[2]) : 1000);
}
