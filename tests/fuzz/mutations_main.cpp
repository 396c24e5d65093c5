// Every target with its seeds and with inputs made of them, for a while. What libFuzzer does better, this
// does without a second compiler, in the tree that has the sanitizers anyway.
#include "tests/fuzz/mutation.hpp"
#include "tests/fuzz/target.hpp"

#include <sanitizer/common_interface_defs.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace {

namespace fuzz = souffleur::fuzz;
using steady = std::chrono::steady_clock;

constexpr unsigned longest_s = 20; ///< of one input, on a busy machine under sanitizers

constexpr double remarkable_s = 2; ///< the slowest one is kept in a file

std::string_view running;
std::string input;

/// In a signal handler.
void save_input() {
  const int file = ::open("fuzz-crash", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  [[maybe_unused]] const auto n = ::write(file, input.data(), input.size());
  std::fprintf(stderr, "\n%s: the input that did it is in the file fuzz-crash; again with: %s FILE\n",
               std::string{running}.c_str(), std::string{running}.c_str());
}

void on_signal(int signal) {
  if (signal == SIGALRM)
    std::fprintf(stderr, "an input takes more than %u s\n", longest_s);
  save_input();
  std::_Exit(1);
}

void take(const fuzz::target& one, std::string bytes) {
  running = one.name;
  input = std::move(bytes);
  alarm(longest_s);
  try {
    one.take(input);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", std::string{one.name}.c_str(), error.what());
    save_input();
    std::exit(1);
  }
  alarm(0);
}

void run(const fuzz::target& one, double seconds, std::uint64_t seed) {
  const auto began = steady::now();
  const auto spent = [&] { return std::chrono::duration<double>(steady::now() - began).count(); };
  const auto seeds = one.seeds();
  for (const auto& bytes : seeds)
    take(one, bytes);
  fuzz::mutator mutations{seeds, seed};
  std::size_t n = seeds.size();
  double longest = 0;
  for (double now = spent(); now < seconds;) {
    take(one, mutations.next());
    ++n;
    const auto then = spent();
    if (then - now > std::max(longest, remarkable_s))
      std::ofstream{"fuzz-slow-" + std::string{one.name}, std::ios::binary} << input;
    longest = std::max(longest, then - now);
    now = then;
  }
  std::printf("%-24s %4zu seeds %8zu inputs  the slowest took %.0f ms\n", std::string{one.name}.c_str(),
              seeds.size(), n, longest * 1000);
  std::fflush(stdout);
}

std::string file_text(const char* path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

/// mutations SECONDS [SEED [TARGET…]]: each target, or these; mutations TARGET FILE…: again.
int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "1";
  std::signal(SIGALRM, on_signal);
  std::signal(SIGABRT, on_signal);
  __sanitizer_set_death_callback(save_input);
  for (const auto& one : fuzz::targets())
    if (one.name == first) {
      for (int i = 2; i < argc; ++i)
        take(one, file_text(argv[i]));
      return 0;
    }
  const auto seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::printf("%s s for each target, seed %llu\n", first.c_str(), seed);
  const std::vector<std::string_view> named(argv + std::min(argc, 3), argv + argc);
  for (const auto& one : fuzz::targets())
    if (named.empty() || std::ranges::count(named, one.name) > 0)
      run(one, std::atof(first.c_str()), seed);
}
