// What a step costs outside of the forward pass: messages, scheduling, sampling. The model computes nothing,
// so every microsecond seen here is ours. Prints one line a setting: median (least to most) over the
// repetitions. The batch is full where somebody waits, and stays so.
#include "actors/serving_system.hpp"
#include "tests/actors/fake_text.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>

namespace souffleur {
namespace {

constexpr int n_prompt_tokens = 32;
constexpr int n_output_tokens = 2000;
constexpr int n_repetitions = 5;

/// Leaves the logits as they are: all equal, so greedy decoding says token 0 for ever.
class weightless_model final : public language_model {
public:
  explicit weightless_model(int vocabulary_size) : vocabulary_size_(vocabulary_size) {}
  int vocabulary_size() const override { return vocabulary_size_; }
  int context_length() const override { return 1 << 20; }
  int n_pages() const override { return 1 << 16; }
  const std::string& fingerprint() const override { return fingerprint_; }
  void forward(std::span<const sequence_rows>, std::span<float>) override {}
  void keep(std::size_t, int) override {}
  void turn(std::span<const page_turn>) override {}
  const std::string& page_format() const override { return fingerprint_; }
  std::size_t page_bytes() const override { return 0; }
  void save_page(page_id, std::span<std::byte>) const override {}
  void load_page(page_id, std::span<const std::byte>) override {}

private:
  int vocabulary_size_;
  std::string fingerprint_ = "weightless";
};

/// Counts down to the end of a batch.
class latch {
public:
  explicit latch(int n) : n_(n) {}
  void count_down() {
    std::lock_guard lock{mutex_};
    if (--n_ == 0) // what ends later is not waited for
      done_.notify_all();
  }
  void wait() {
    std::unique_lock lock{mutex_};
    done_.wait(lock, [&] { return n_ <= 0; });
  }

private:
  std::mutex mutex_;
  std::condition_variable done_;
  int n_;
};

struct measurement {
  double tokens_per_s = 0;
  double step_us = 0; ///< wall time over steps
  double messages_us = 0;
  double scheduling_us = 0;
  double sampling_us = 0;
  double forward_us = 0;
};

double sample_of(const std::string& metrics, const std::string& name, const std::string& label) {
  std::istringstream lines{metrics};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + "{") && line.find(label) != std::string::npos)
      return std::stod(line.substr(line.rfind(' ') + 1));
  return 0;
}

struct setting {
  int n_batch = 0;
  int n_waiting = 0;
  std::string scheduling = "fcfs";
  std::string drafter = "off";
  int vocabulary_size = 256;
};

generation_request request_of(int number) {
  generation_request request;
  request.id = static_cast<request_id>(number + 1);
  request.tenant = "Bearer " + std::to_string(number % 3);
  request.prompt =
      token_prompt{std::vector<token_id>(n_prompt_tokens, static_cast<token_id>(1 + number % 29))};
  request.max_tokens_given = true;
  request.sampling.max_tokens = n_output_tokens;
  request.sampling.temperature = 0;
  request.sampling.ignore_eos = true;
  return request;
}

measurement measure(const setting& chosen) {
  serving_config config;
  config.n_kv_pages = 1 << 16;
  config.scheduling_policy = chosen.scheduling;
  config.drafter = chosen.drafter;
  config.max_running = chosen.n_batch;
  config.max_waiting = config.max_waiting_per_tenant = chosen.n_waiting;
  auto system = serving_system::start(config,
                                      {std::make_shared<weightless_model>(chosen.vocabulary_size),
                                       std::make_shared<testing::fake_tokenizer>(),
                                       std::make_shared<testing::fake_chat_template>()},
                                      nullptr);
  if (!system) {
    std::fprintf(stderr, "%s\n", system.error().c_str());
    std::exit(1);
  }
  auto done = std::make_shared<latch>(chosen.n_batch);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < chosen.n_batch + chosen.n_waiting; ++i)
    (*system)->submit(request_of(i), [done](const generation_event& event) {
      if (std::holds_alternative<generation_finished>(event) ||
          std::holds_alternative<generation_failed>(event))
        done->count_down();
    });
  done->wait();
  const double wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto metrics = (*system)->metrics();
  const double n_steps = std::max(1.0, sample_of(metrics, "souffleur_steps_total", ""));
  const auto part_us = [&](const char* part) {
    return sample_of(metrics, "souffleur_step_seconds_sum", part) / n_steps * 1e6;
  };
  return {chosen.n_batch * n_output_tokens / wall_s,
          wall_s / n_steps * 1e6,
          part_us("messages"),
          part_us("scheduling"),
          part_us("sampling"),
          part_us("forward")};
}

/// "median (least to most)"
std::string summary(const std::vector<measurement>& all, double measurement::*what) {
  std::vector<double> values;
  for (const auto& one : all)
    values.push_back(one.*what);
  std::sort(values.begin(), values.end());
  char text[64];
  std::snprintf(text, sizeof(text), "%.1f (%.1f-%.1f)", values[values.size() / 2], values.front(),
                values.back());
  return text;
}

void report(const setting& chosen) {
  std::vector<measurement> all;
  for (int i = 0; i < n_repetitions; ++i)
    all.push_back(measure(chosen));
  std::printf("%5d  %7d  %-11s  %-13s  %10d  %22s  %22s  %22s  %22s  %26s\n", chosen.n_batch,
              chosen.n_waiting, chosen.scheduling.c_str(), chosen.drafter.c_str(), chosen.vocabulary_size,
              summary(all, &measurement::step_us).c_str(), summary(all, &measurement::messages_us).c_str(),
              summary(all, &measurement::scheduling_us).c_str(),
              summary(all, &measurement::sampling_us).c_str(),
              summary(all, &measurement::tokens_per_s).c_str());
  std::fflush(stdout);
}

} // namespace
} // namespace souffleur

int main() {
  std::printf("%5s  %7s  %-11s  %-13s  %10s  %22s  %22s  %22s  %22s  %26s\n", "batch", "waiting",
              "scheduling", "drafter", "vocabulary", "step_us", "messages_us", "scheduling_us", "sampling_us",
              "tokens_per_s");
  for (const int vocabulary_size : {256, 49152})
    for (const auto* drafter : {"off", "prompt_lookup"})
      for (const int n_batch : {1, 8, 32})
        souffleur::report({n_batch, 0, "fcfs", drafter, vocabulary_size});
  for (const auto* scheduling : {"fcfs", "lpm", "deficit_lpm"})
    for (const int n_waiting : {0, 100, 1000})
      souffleur::report({8, n_waiting, scheduling, "off", 256});
}
