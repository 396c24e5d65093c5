// Where a decode step and a prefill spend their time.
#include "engine/operators/operator_profile.hpp"
#include "examples/bench/runs.hpp"

namespace souffleur::bench {

namespace {

constexpr const char* rest_name = "(outside of operators)";

std::string name_of(const operator_profile::entry& entry) {
  std::string name{entry.name};
  if (entry.n_out > 0)
    name.append(" ").append(std::to_string(entry.n_out)).append("x").append(std::to_string(entry.n_in));
  return name;
}

/// Time by operator over the repeats. The passes of a repeat run the same operators in the same order.
class operator_table {
public:
  void add(const operator_profile& profile, double total_s, int n_passes) {
    const auto& entries = profile.entries();
    lines_.resize(entries.size() + 1);
    double inside_us = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const double us = std::chrono::duration<double, std::micro>(entries[i].time).count() / n_passes;
      lines_[i].name = name_of(entries[i]);
      lines_[i].n_calls = static_cast<double>(entries[i].calls) / n_passes;
      lines_[i].us.push_back(us);
      inside_us += us;
    }
    const double total_us = total_s * 1e6 / n_passes;
    lines_.back().name = rest_name;
    lines_.back().us.push_back(total_us - inside_us);
    totals_us_.push_back(total_us);
  }

  std::vector<measurement> measurements(const boost::json::object& settings) const {
    std::vector<measurement> all;
    for (const auto& line : lines_) {
      auto with_operator = settings;
      with_operator["operator"] = line.name;
      with_operator["calls"] = line.n_calls;
      samples percents;
      for (std::size_t i = 0; i < totals_us_.size(); ++i)
        percents.push_back(100 * line.us[i] / totals_us_[i]);
      all.push_back(
          {"profile", with_operator, {{"us", summary_of(line.us)}, {"percent", summary_of(percents)}}});
    }
    return all;
  }

private:
  struct line {
    std::string name;
    double n_calls = 0;
    samples us;
  };
  std::vector<line> lines_;
  samples totals_us_;
};

} // namespace

std::vector<measurement> run_profile(subject& model, const options& how, progress& report) {
  std::vector<measurement> all;
  const auto profile = [&](const std::string& pass, int depth, int n_passes, auto&& run_pass) {
    report.say(model.title("profile of a " + pass, depth));
    operator_table table;
    for (int round = 0; round <= how.repeats; ++round) {
      operator_profile times;
      const operator_profile_scope scope{times};
      const double total_s = seconds_of([&] {
        for (int i = 0; i < n_passes; ++i)
          run_pass(i);
      });
      if (round > 0)
        table.add(times, total_s, n_passes);
    }
    auto settings = model.settings(depth);
    settings["pass"] = pass;
    const auto lines = table.measurements(settings);
    all.insert(all.end(), lines.begin(), lines.end());
  };
  for (const int depth : how.depths) {
    for (const int batch : how.profile_batches) {
      model.texts.fill(batch, depth);
      profile(batch == 1 ? "decode step" : "decode step of " + std::to_string(batch), depth, how.decode_steps,
              [&](int i) { model.texts.decode_step(batch, depth + i); });
    }
    profile("prefill of " + std::to_string(how.profile_prefill_tokens), depth, 1,
            [&](int) { model.texts.prefill(depth, how.profile_prefill_tokens); });
  }
  return all;
}

} // namespace souffleur::bench
