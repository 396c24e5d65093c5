// Microseconds a call of the sampler over vocabularies of 49k and 152k. Prints minimum and median.
#include "engine/sampler.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <malloc.h>
#include <random>

namespace souffleur {
namespace {

constexpr int n_calls = 200;

/// Normal logits, as wide as a language model's, under a few that stand out.
std::vector<float> plausible_logits(std::size_t n) {
  std::mt19937 random{1};
  std::normal_distribution<float> normal{0, 2.5F};
  std::vector<float> logits(n);
  for (auto& logit : logits)
    logit = normal(random);
  for (int i = 0; i < 20; ++i)
    logits[random() % n] = 18.0F - 0.5F * static_cast<float>(i);
  return logits;
}

template <class F>
void report(const char* name, const std::vector<float>& logits, F call) {
  std::vector<double> times;
  for (int i = 0; i < n_calls; ++i) {
    auto scratch = logits;
    const auto start = std::chrono::steady_clock::now();
    call(scratch);
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("%6zu  %-28s min %8.1f us  median %8.1f us\n", logits.size(), name, times.front(),
              times[times.size() / 2]);
}

void report_law(const char* name, const std::vector<float>& logits, float temperature, float top_p,
                int top_k = 0) {
  sampling_params params;
  params.temperature = temperature;
  params.top_p = top_p;
  params.top_k = top_k;
  std::size_t n_kept = 0;
  report(name, logits, [&](std::vector<float>& scratch) {
    n_kept += next_token_distribution(scratch, params, nullptr, {}).tokens.size();
  });
  std::printf("        tokens kept: %zu\n", n_kept / n_calls);
}

} // namespace
} // namespace souffleur

int main() {
  using namespace souffleur;
  // As in a long-lived server, whose heap does not go back to the system after every call.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  for (const std::size_t n : {49152UL, 151936UL}) {
    const auto logits = plausible_logits(n);
    report_law("T = 0", logits, 0, 1);
    report_law("T = 0.8", logits, 0.8F, 1);
    report_law("T = 0.8, top_p 0.95", logits, 0.8F, 0.95F);
    report_law("T = 0.8, top_k 50", logits, 0.8F, 1, 50);
    report("argmax", logits,
           [](std::vector<float>& scratch) { scratch[0] += static_cast<float>(argmax(scratch)); });
    report("logprobs_of, 5 top", logits,
           [](std::vector<float>& scratch) { scratch[0] += logprobs_of(scratch, 3, 5).chosen; });
  }
  return 0;
}
