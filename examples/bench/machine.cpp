#include "examples/bench/machine.hpp"

#include "engine/clones.hpp"
#include "engine/kernels/weight_arena.hpp"
#include "examples/bench/dot_peak.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <span>
#include <thread>
#include <unistd.h>

namespace souffleur::bench {

namespace {

constexpr int n_stream_passes = 2;
constexpr std::int64_t n_dot_iterations = 5'000'000;

/// Of four streams at once: a single one waits at every page for the prefetcher, and shows a third less than
/// memory gives.
SOUFFLEUR_CLONES std::uint64_t sum_of(const std::uint64_t* words, std::size_t n) {
  const std::size_t quarter = n / 4;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < quarter; ++i)
    sum += words[i] + words[quarter + i] + words[2 * quarter + i] + words[3 * quarter + i];
  return sum;
}

SOUFFLEUR_CLONES void copy_words(const std::uint64_t* from, std::uint64_t* to, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    to[i] = from[i];
}

/// Keeps the compiler from dropping the work behind `value`, and from doing it once for all passes.
void pretend_to_use(std::uint64_t value) { asm volatile("" : : "r"(value) : "memory"); }

void on_threads(int n_threads, const std::function<void(int)>& task) {
  std::vector<std::jthread> others;
  for (int i = 1; i < n_threads; ++i)
    others.emplace_back(task, i);
  task(0);
}

/// Part `index` of `n_parts` nearly equal ones.
template <class T>
std::span<T> part_of(std::span<T> all, int index, int n_parts) {
  const auto begin = all.size() * static_cast<std::size_t>(index) / static_cast<std::size_t>(n_parts);
  const auto end = all.size() * static_cast<std::size_t>(index + 1) / static_cast<std::size_t>(n_parts);
  return all.subspan(begin, end - begin);
}

summary read_bandwidth(std::span<const std::uint64_t> words, int n_threads, int n_repeats) {
  const auto times = timed_repeats(n_repeats, [&] {
    on_threads(n_threads, [&](int thread) {
      const auto part = part_of(words, thread, n_threads);
      for (int pass = 0; pass < n_stream_passes; ++pass)
        pretend_to_use(sum_of(part.data(), part.size()));
    });
  });
  const double bytes = static_cast<double>(words.size_bytes()) * n_stream_passes;
  return summary_of(times, [&](double seconds) { return bytes / seconds * 1e-9; });
}

/// From the first half to the second.
summary copy_bandwidth(std::span<std::uint64_t> words, int n_threads, int n_repeats) {
  const auto half = words.size() / 2;
  const auto times = timed_repeats(n_repeats, [&] {
    on_threads(n_threads, [&](int thread) {
      const auto from = part_of(words.first(half), thread, n_threads);
      const auto to = part_of(words.subspan(half, half), thread, n_threads);
      for (int pass = 0; pass < n_stream_passes; ++pass)
        copy_words(from.data(), to.data(), from.size());
    });
  });
  const double bytes = static_cast<double>(2 * half * sizeof(std::uint64_t)) * n_stream_passes;
  return summary_of(times, [&](double seconds) { return bytes / seconds * 1e-9; });
}

summary dot_peak_of(const dot_loop& loop, int n_threads, int n_repeats) {
  const auto times =
      timed_repeats(n_repeats, [&] { on_threads(n_threads, [&](int) { loop.run(n_dot_iterations); }); });
  const double macs = static_cast<double>(n_dot_iterations) * loop.macs_per_iteration * n_threads;
  return summary_of(times, [&](double seconds) { return macs / seconds * 1e-9; });
}

} // namespace

std::string cpu_name() {
  std::ifstream info{"/proc/cpuinfo"};
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name"))
      if (const auto colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown";
}

const summary* machine_figures::dot_peak(isa level) const {
  for (const auto& [name, peak] : dot_gmac_per_s)
    if (name == to_string(level))
      return &peak;
  return nullptr;
}

std::size_t bytes_beyond_caches() {
  constexpr std::size_t least = 64U << 20;
  constexpr std::size_t most = 1U << 30;
  const long last_cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return std::clamp(2 * static_cast<std::size_t>(std::max(last_cache, 0L)), least, most);
}

machine_figures measure_machine(int n_threads, int n_repeats) {
  machine_figures figures;
  figures.n_threads = n_threads;
  {
    const auto n_bytes = 2 * bytes_beyond_caches();
    const auto memory = weight_arena{n_bytes}.allocate(n_bytes);
    const std::span words{reinterpret_cast<std::uint64_t*>(memory.get()), n_bytes / sizeof(std::uint64_t)};
    std::fill(words.begin(), words.end(), 1);
    figures.stream_read_gb_per_s = read_bandwidth(words, n_threads, n_repeats);
    figures.stream_copy_gb_per_s = copy_bandwidth(words, n_threads, n_repeats);
  }
  for (const auto& loop : dot_loops())
    figures.dot_gmac_per_s.emplace_back(loop.instructions, dot_peak_of(loop, n_threads, n_repeats));
  return figures;
}

std::vector<measurement> measurements_of(const machine_figures& machine) {
  std::vector<measurement> all;
  const auto add = [&](const char* work, std::string_view what, const char* unit, const summary& figure) {
    all.push_back({work, {{"threads", machine.n_threads}, {"of", what}}, {{unit, figure}}});
  };
  add("machine stream", "read", "gb_per_s", machine.stream_read_gb_per_s);
  add("machine stream", "copy", "gb_per_s", machine.stream_copy_gb_per_s);
  for (const auto& [instructions, peak] : machine.dot_gmac_per_s)
    add("machine dot products", instructions, "gmac_per_s", peak);
  return all;
}

} // namespace souffleur::bench
