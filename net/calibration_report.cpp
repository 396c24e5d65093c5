#include "net/calibration_report.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iterator>
#include <ostream>
#include <sstream>

namespace souffleur {

namespace {

std::string percent(double share) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << 100 * share << " %";
  return text.str();
}

/// A share and the bound that holds with 95 % confidence.
std::string bounded_percent(int n_events, int n) {
  return percent(n == 0 ? 0 : static_cast<double>(n_events) / n) +
         " (<= " + percent(upper_bound(n_events, n, 0.95)) + ")";
}

void write_row(std::ostream& out, const std::string& name, const traffic_outcome& outcome) {
  const int n_hits = static_cast<int>(outcome.served.size());
  out << "| " << name << " | " << percent(static_cast<double>(n_hits) / outcome.n_requests) << " | "
      << outcome.n_errors() << " | " << bounded_percent(outcome.n_errors(), outcome.n_requests) << " | "
      << bounded_percent(outcome.n_errors(), n_hits) << " | " << outcome.n_unlabelled() << " |\n";
}

/// Of the fixed thresholds, the one with most hits among those whose error is at most `max_error`.
curve_point best_fixed(std::span<const curve_point> curve, double max_error, error_basis basis) {
  curve_point best = curve.front();
  best.threshold = 2;
  best.n_hits = best.n_errors = 0;
  for (const auto& point : curve)
    if (point.error(basis) <= max_error && point.n_hits > best.n_hits)
      best = point;
  return best;
}

/// As a cache without guards sees the traffic: the nearest, whatever the guards say.
std::vector<labelled_lookup> nearest_lookups(std::span<const asked_question> requests) {
  std::vector<labelled_lookup> lookups;
  for (const auto& request : requests)
    lookups.push_back(request.nearest.empty() ? labelled_lookup{}
                                              : labelled_lookup{request.nearest.front().similarity, true,
                                                                request.nearest.front().right});
  return lookups;
}

std::unique_ptr<cache_policy> calibrated(const calibration_trial& what,
                                         std::span<const asked_question> calibration) {
  return make_cache_policy("bounded",
                           calibrate(lookups_of(calibration), what.promises, what.confidence, what.basis));
}

} // namespace

void write_curve(std::ostream& out, std::span<const labelled_lookup> lookups, double step) {
  out << "| threshold | hits | wrong per request | precision | recall | guarded: hits | wrong per request "
         "| precision | recall |\n|---|---|---|---|---|---|---|---|---|\n";
  const auto n_right =
      std::count_if(lookups.begin(), lookups.end(), [](const auto& one) { return one.right; });
  const auto all = curve_of(lookups, false);
  const auto guarded = curve_of(lookups, true);
  double next = 1;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].threshold > next + 1e-9)
      continue;
    next = all[i].threshold - step;
    out << "| " << all[i].threshold;
    for (const auto* point : {&all[i], &guarded[i]})
      out << " | " << percent(point->hit_rate()) << " | " << percent(point->error(error_basis::per_request))
          << " | " << percent(1 - point->error(error_basis::per_hit)) << " | "
          << percent(n_right == 0 ? 0 : static_cast<double>(point->n_hits - point->n_errors) / n_right);
    out << " |\n";
  }
}

void write_calibration(std::ostream& out, const calibration_trial& what,
                       std::span<const asked_question> calibration, std::span<const asked_question> test) {
  const auto made = calibrate(lookups_of(calibration), what.promises, what.confidence, what.basis);
  out << "prior: thresholds " << made.prior.mean << " +- " << made.prior.spread << ", slope "
      << made.prior.slope << "; floors:";
  for (const auto& floor : made.floors)
    out << ' ' << percent(floor.max_error) << (floor.threshold > 1 ? std::string{" none"} : " from ")
        << (floor.threshold > 1 ? "" : std::to_string(floor.threshold).substr(0, 6));
  out << "\n\n| policy | hits | wrong | per request | per hit | of the wrong, unlabelled "
         "|\n|---|---|---|---|---|---|\n";
  for (const double threshold : {0.8, 0.9, 0.95})
    for (const auto* name : {"fixed", "guarded"})
      write_row(out, std::string{name} + ' ' + std::to_string(threshold).substr(0, 4),
                replay(test, *make_cache_policy(name), {threshold, 1}, what.kind, 1));
  const auto curve = curve_of(nearest_lookups(test), false);
  const auto known = curve_of(nearest_lookups(calibration), false);
  const auto bounded = make_cache_policy("bounded", made);
  for (const double promise : what.promises) {
    const auto best = best_fixed(curve, promise, what.basis);
    write_row(out, "fixed, best for " + percent(promise) + ": " + std::to_string(best.threshold).substr(0, 6),
              replay(test, *make_cache_policy("fixed"), {best.threshold, 1}, what.kind, 1));
    const double certified = certified_threshold(known, promise, what.confidence, what.basis);
    write_row(out, "fixed, certified for " + percent(promise) + ": " + std::to_string(certified).substr(0, 6),
              replay(test, *make_cache_policy("fixed"), {certified, 1}, what.kind, 1));
    write_row(out, "bounded " + percent(promise), replay(test, *bounded, {0.9, promise}, what.kind, 1));
  }
}

void write_equal_error(std::ostream& out, std::span<const asked_question> test) {
  const auto all = curve_of(nearest_lookups(test), false);
  const auto guarded = curve_of(lookups_of(test), true);
  out << "| errors | best fixed threshold: hits | with the guards | ratio |\n|---|---|---|---|\n";
  for (const auto basis : {error_basis::per_request, error_basis::per_hit})
    for (const double error : {0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2}) {
      const double fixed = best_fixed(all, error, basis).hit_rate();
      const double ours = best_fixed(guarded, error, basis).hit_rate();
      out << "| " << percent(error) << (basis == error_basis::per_hit ? " per hit" : " per request") << " | "
          << percent(fixed) << " | " << percent(ours) << " | ";
      if (fixed > 0)
        out << std::round(100 * ours / fixed) / 100;
      out << " |\n";
    }
}

repeated_calibration repeat_calibration(const labelled_pairs& all, const question_vectors& vectors,
                                        const calibration_trial& what, double promise, int n_trials) {
  repeated_calibration outcome;
  for (int i = 0; i < n_trials; ++i) {
    const auto [first, second] = halves_of(all, static_cast<std::uint64_t>(i) + 1);
    const auto calibration = requests_of(what.kind, all, first, vectors);
    const auto test = requests_of(what.kind, all, second, vectors);
    auto one = what;
    one.promises = {promise};
    const auto counts = replay(test, *calibrated(one, calibration), {0.9, promise}, what.kind, 1);
    const int n_hits = static_cast<int>(counts.served.size());
    const int n = what.basis == error_basis::per_hit ? n_hits : counts.n_requests;
    ++outcome.n_trials;
    outcome.n_broken += counts.n_errors() > promise * n ? 1 : 0;
    outcome.error += n == 0 ? 0 : static_cast<double>(counts.n_errors()) / n / n_trials;
    outcome.hit_rate += static_cast<double>(n_hits) / counts.n_requests / n_trials;
    const double fixed = certified_threshold(curve_of(nearest_lookups(calibration), false), promise,
                                             what.confidence, what.basis);
    const auto others = replay(test, *make_cache_policy("fixed"), {fixed, 1}, what.kind, 1);
    outcome.fixed_hit_rate += static_cast<double>(others.served.size()) / counts.n_requests / n_trials;
  }
  return outcome;
}

void write_repeated(std::ostream& out, double promise, const repeated_calibration& outcome) {
  out << percent(promise) << " promised: broken in " << outcome.n_broken << " of " << outcome.n_trials
      << " ways to halve the pairs, " << percent(outcome.error) << " on average; hits "
      << percent(outcome.hit_rate) << ", with a fixed threshold that is certified alike "
      << percent(outcome.fixed_hit_rate) << '\n';
}

namespace {

/// At most `n_most` of what was served wrongly, as far as somebody has labelled it.
void write_questions(std::ostream& out, const labelled_pairs& all, std::span<const served_question> wrong,
                     int n_most) {
  for (const auto& one : wrong.first(std::min(wrong.size(), static_cast<std::size_t>(n_most))))
    out << "  " << std::fixed << std::setprecision(3) << one.from.similarity << ' '
        << to_string(one.from.refused_by) << ": " << all.questions[one.question] << " <- "
        << all.questions[one.from.question] << '\n';
}

std::vector<served_question> labelled_wrong(const traffic_outcome& outcome) {
  std::vector<served_question> wrong;
  std::copy_if(outcome.served.begin(), outcome.served.end(), std::back_inserter(wrong),
               [](const auto& one) { return !one.from.right && one.from.labelled; });
  return wrong;
}

} // namespace

void write_false_hits(std::ostream& out, const labelled_pairs& all, const calibration_trial& what,
                      std::span<const asked_question> calibration, std::span<const asked_question> test,
                      int n_shown) {
  const auto bounded = calibrated(what, calibration);
  const auto fixed = labelled_wrong(replay(test, *make_cache_policy("fixed"), {0.9, 1}, what.kind, 1));
  for (const double promise : what.promises) {
    const auto ours = labelled_wrong(replay(test, *bounded, {0.9, promise}, what.kind, 1));
    auto avoided = fixed;
    std::erase_if(avoided, [&](const served_question& one) {
      return std::any_of(ours.begin(), ours.end(), [&](const served_question& other) {
        return one.question == other.question && one.from.question == other.from.question;
      });
    });
    out << "bounded " << percent(promise) << ": of the " << fixed.size()
        << " false hits of a fixed 0.9 it does not serve " << avoided.size() << '\n';
    write_questions(out, all, avoided, n_shown);
    out << "bounded " << percent(promise) << ": " << ours.size() << " false hits of its own\n";
    write_questions(out, all, ours, n_shown);
  }
}

} // namespace souffleur
