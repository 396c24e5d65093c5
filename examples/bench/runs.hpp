// The benchmarks themselves.
#pragma once

#include "examples/bench/machine.hpp"
#include "examples/bench/measurement.hpp"
#include "examples/bench/options.hpp"
#include "examples/bench/progress.hpp"
#include "examples/bench/sequences.hpp"

#include <string>
#include <vector>

namespace souffleur::bench {

/// A loaded model, and what its figures are labelled with.
struct subject {
  std::string name;
  int n_threads = 0;
  sequences texts;

  boost::json::object settings(int depth) const {
    return {{"model", name}, {"threads", n_threads}, {"depth", depth}};
  }
  std::string title(const std::string& work, int depth) const {
    return name + ", threads " + std::to_string(n_threads) + ", depth " + std::to_string(depth) + ": " + work;
  }
};

std::vector<measurement> run_prefill(subject& model, const options& how, progress& report);
std::vector<measurement> run_decode(subject& model, const options& how, progress& report);
/// T(M) and T(M) / T(first M), the ratio from times of the same round.
std::vector<measurement> run_curve(subject& model, const options& how, progress& report);
/// A line an operator and shape, and one for what passes outside of them.
std::vector<measurement> run_profile(subject& model, const options& how, progress& report);
/// Beside each figure, the percentage of what the machine can do with the instructions in use.
std::vector<measurement> run_kernels(const options& how, const machine_figures& machine, progress& report);

} // namespace souffleur::bench
