// Prefill, decode and T(M) of a model.
#include "examples/bench/runs.hpp"

#include <algorithm>

namespace souffleur::bench {

namespace {

std::vector<int> ascending(std::vector<int> values) {
  std::sort(values.begin(), values.end());
  return values;
}

} // namespace

std::vector<measurement> run_prefill(subject& model, const options& how, progress& report) {
  std::vector<measurement> all;
  for (const int depth : ascending(how.depths)) {
    for (const int n : how.prefill_tokens) {
      report.say(model.title("prefill of " + std::to_string(n) + " tokens", depth));
      model.texts.fill(1, depth);
      const auto times = timed_repeats(how.repeats, [&] { model.texts.prefill(depth, n); });
      auto settings = model.settings(depth);
      settings["tokens"] = n;
      all.push_back({"prefill",
                     settings,
                     {{"tokens_per_s", summary_of(times, [n](double s) { return n / s; })},
                      {"ms", summary_of(times, [](double s) { return s * 1e3; })}}});
    }
  }
  return all;
}

std::vector<measurement> run_decode(subject& model, const options& how, progress& report) {
  std::vector<measurement> all;
  const int n_steps = how.decode_steps;
  for (const int depth : ascending(how.depths)) {
    for (const int n : how.batches) {
      report.say(model.title("decode, batch " + std::to_string(n), depth));
      model.texts.fill(n, depth);
      const auto times = timed_repeats(how.repeats, [&] {
        for (int i = 0; i < n_steps; ++i)
          model.texts.decode_step(n, depth + i);
      });
      auto settings = model.settings(depth);
      settings["batch"] = n;
      settings["steps"] = n_steps;
      all.push_back({"decode",
                     settings,
                     {{"tokens_per_s", summary_of(times, [&](double s) { return n * n_steps / s; })},
                      {"step_ms", summary_of(times, [&](double s) { return s / n_steps * 1e3; })}}});
    }
  }
  return all;
}

std::vector<measurement> run_curve(subject& model, const options& how, progress& report) {
  std::vector<measurement> all;
  for (const int depth : ascending(how.depths)) {
    model.texts.fill(1, depth);
    std::vector<samples> times(how.curve_rows.size()), ratios(how.curve_rows.size());
    for (int round = 0; round <= how.repeats; ++round) {
      report.say(model.title("T(M), round " + std::to_string(round) + " of " + std::to_string(how.repeats) +
                                 (round == 0 ? " (warm-up)" : ""),
                             depth));
      for (std::size_t i = 0; i < times.size(); ++i) {
        const double seconds = mean_seconds_of([&] { model.texts.verify(depth, how.curve_rows[i]); });
        if (round == 0)
          continue;
        times[i].push_back(seconds);
        ratios[i].push_back(seconds / times[0].back());
      }
    }
    for (std::size_t i = 0; i < times.size(); ++i) {
      auto settings = model.settings(depth);
      settings["rows"] = how.curve_rows[i];
      all.push_back({"curve",
                     settings,
                     {{"ms", summary_of(times[i], [](double s) { return s * 1e3; })},
                      {"ratio_to_rows_" + std::to_string(how.curve_rows.front()), summary_of(ratios[i])}}});
    }
  }
  return all;
}

} // namespace souffleur::bench
