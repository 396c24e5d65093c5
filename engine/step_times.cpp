#include "engine/step_times.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace souffleur {

namespace {

using clock = std::chrono::steady_clock;

constexpr int measured_rows[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
constexpr int most_runs = 3;
constexpr double enough_us = 20'000; ///< a step that takes so long is not timed again

double us_since(clock::time_point start) {
  return std::chrono::duration<double, std::micro>(clock::now() - start).count();
}

} // namespace

std::vector<step_time> measure_steps(language_model& model) {
  const int most_rows = std::min(std::ranges::max(measured_rows), model.n_pages() * page_tokens);
  std::vector<page_id> pages(static_cast<std::size_t>(pages_for(most_rows)));
  std::iota(pages.begin(), pages.end(), 0);
  const std::vector<token_id> tokens(static_cast<std::size_t>(most_rows), 0);
  std::vector<float> logits(static_cast<std::size_t>(most_rows) *
                            static_cast<std::size_t>(model.vocabulary_size()));
  const auto timed = [&](int n_rows) {
    const auto n = static_cast<std::size_t>(n_rows);
    const sequence_rows rows{.pages = pages, .tokens = std::span{tokens}.first(n), .n_logit_rows = n_rows};
    const auto start = clock::now();
    model.forward({&rows, 1}, std::span{logits}.first(n * static_cast<std::size_t>(model.vocabulary_size())));
    return us_since(start);
  };
  timed(1); // touches what was never touched
  std::vector<step_time> times;
  for (const int n_rows : measured_rows) {
    if (n_rows > most_rows)
      break;
    double best = timed(n_rows);
    double total = best;
    for (int run = 1; run < most_runs && total < enough_us; ++run) {
      const double us = timed(n_rows);
      best = std::min(best, us);
      total += us;
    }
    times.push_back({n_rows, std::max(best, 1e-3)});
  }
  return times;
}

} // namespace souffleur
