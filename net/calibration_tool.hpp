// `souffleur cache calibrate`: thresholds for the semantic cache from pairs that somebody has labelled.
#pragma once

#include "engine/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <variant>
#include <vector>

namespace CLI {
class App;
}

namespace souffleur {

struct calibration_options {
  std::string pairs;
  std::string embedding_model = "minilm"; ///< a folder, or the name of one in `model_folder`
  std::string model_folder;               ///< empty: the default
  int n_threads = 0;                      ///< 0: one per CPU
  std::string vectors;                    ///< read instead of embedding; empty: none
  std::string saved_vectors;              ///< written; empty: not
  std::string kind = "pairs";
  std::string basis = "request";
  std::vector<double> promises = {0.01, 0.02};
  double confidence = 0.95;
  std::uint64_t seed = 1;
  int n_repeats = 0;
  int n_shown = 0;
  double curve_step = 0.05;
  std::string svg; ///< written; empty: not
  std::string out; ///< written; empty: not
};

void add_calibration_options(CLI::App& app, calibration_options& options);

/// Certifies thresholds on half of the pairs and tries all cache policies on the other half. What is written
/// for the server is certified on all of them. `progress` is told how many questions are embedded, and of how
/// many.
result<std::monostate> run_calibration(const calibration_options& options, std::ostream& out,
                                       const std::function<void(std::size_t, std::size_t)>& progress);

} // namespace souffleur
