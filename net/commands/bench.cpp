#include "net/commands/bench.hpp"

#include "net/command_line.hpp"
#include "net/commands/progress_bar.hpp"
#include "net/commands/served_model.hpp"
#include "net/commands/words.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace souffleur {

namespace {

using clock = std::chrono::steady_clock;

constexpr int n_prompt_tokens = 256;
constexpr int n_answer_tokens = 64;
constexpr std::array batches{1, 4, 16};
constexpr int n_rounds = 3;

double ms_since(clock::time_point start) {
  return std::chrono::duration<double, std::milli>{clock::now() - start}.count();
}

/// Several generations at once, seen by who waits for all of them.
class crowd {
public:
  struct outcome {
    std::vector<double> first_token_ms;
    int n_tokens = 0;
    double decode_ms = 0; ///< from the last first token to the end of the last generation
    std::string error;    ///< empty: none
  };

  explicit crowd(int n) : first_token_ms_(static_cast<std::size_t>(n), -1), n_open_(n) {}

  void hear(int who, const generation_event& event) {
    const std::lock_guard hold{mutex_};
    if (const auto* delta = std::get_if<generation_delta>(&event)) {
      auto& first = first_token_ms_[static_cast<std::size_t>(who)];
      if (first < 0) {
        first = ms_since(start_);
        n_before_all_ = n_tokens_ + static_cast<int>(delta->tokens.size());
        last_first_ms_ = first;
      }
      n_tokens_ += static_cast<int>(delta->tokens.size());
    } else if (const auto* failed = std::get_if<generation_failed>(&event)) {
      error_ = failed->message;
    }
    if (std::holds_alternative<generation_finished>(event) ||
        std::holds_alternative<generation_failed>(event))
      if (--n_open_ == 0)
        all_ended_.notify_all();
  }

  outcome wait() {
    std::unique_lock hold{mutex_};
    all_ended_.wait(hold, [&] { return n_open_ == 0; });
    return {first_token_ms_, n_tokens_ - n_before_all_, ms_since(start_) - last_first_ms_, error_};
  }

private:
  std::mutex mutex_;
  std::condition_variable all_ended_;
  clock::time_point start_ = clock::now();
  std::vector<double> first_token_ms_;
  int n_tokens_ = 0;
  int n_before_all_ = 0;
  double last_first_ms_ = 0;
  int n_open_;
  std::string error_;
};

/// Random tokens: nothing of them is cached, and no draft is right.
generation_request random_request(std::mt19937& numbers, int vocabulary_size) {
  generation_request request;
  static request_id next = 1;
  request.id = next++;
  std::uniform_int_distribution<token_id> any{0, vocabulary_size - 1};
  std::vector<token_id> prompt(n_prompt_tokens);
  for (auto& token : prompt)
    token = any(numbers);
  request.prompt = token_prompt{std::move(prompt)};
  request.sampling.temperature = 0;
  request.sampling.max_tokens = n_answer_tokens;
  request.sampling.ignore_eos = true;
  request.max_tokens_given = true;
  request.cache.mode = cache_mode::off;
  return request;
}

crowd::outcome run_round(generation_service& service, int n, std::mt19937& numbers) {
  std::vector<generation_request> requests;
  for (int i = 0; i < n; ++i)
    requests.push_back(random_request(numbers, service.model().vocabulary_size));
  const auto together = std::make_shared<crowd>(n);
  for (int i = 0; i < n; ++i)
    service.submit(std::move(requests[static_cast<std::size_t>(i)]),
                   [together, i](const generation_event& event) { together->hear(i, event); });
  return together->wait();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

int measure(generation_service& service) {
  std::mt19937 numbers{1};
  progress_bar progress{"measuring"};
  struct row {
    int n;
    double first_ms;
    double slowest_ms;
    double tokens_per_s;
  };
  std::vector<row> rows;
  double n_done = 0;
  for (const int n : batches) {
    std::vector<double> firsts, slowest, rates;
    for (int round = 0; round < n_rounds; ++round) {
      const auto [first_token_ms, n_tokens, decode_ms, error] = run_round(service, n, numbers);
      if (!error.empty()) {
        std::fprintf(stderr, "\nsouffleur bench: %s\n", error.c_str());
        return 1;
      }
      firsts.push_back(median(first_token_ms));
      slowest.push_back(*std::ranges::max_element(first_token_ms));
      rates.push_back(n_tokens / std::max(1e-3, decode_ms) * 1000);
      progress(++n_done / static_cast<double>(batches.size() * n_rounds));
    }
    rows.push_back({n, median(firsts), median(slowest), median(rates)});
  }
  std::printf("%s: prompts of %d random tokens, answers of %d; medians of %d rounds\n\n"
              "at once   first token (median, slowest)   tokens/s, all together\n",
              service.model().name.c_str(), n_prompt_tokens, n_answer_tokens, n_rounds);
  for (const auto& [n, first_ms, slowest_ms, tokens_per_s] : rows)
    std::printf("%7d   %11.1f ms %11.1f ms   %15.1f\n", n, first_ms, slowest_ms, tokens_per_s);
  return 0;
}

} // namespace

int run_bench(int argc, const char* const* argv) {
  const auto read = settings_or_leave(argc, argv);
  if (const auto* code = std::get_if<int>(&read))
    return *code;
  auto settings = std::get<server_settings>(read);
  spdlog::set_level(spdlog::level::warn);
  settings.embedding_model = "off";
  settings.store.where = "memory";
  settings.serving.tier_folder = "off";
  auto loaded = load_served_model(settings);
  auto system = loaded
                    ? serving_system::start(settings.serving, std::move(*loaded), [](const std::string&) {})
                    : failure{loaded.error()};
  if (!system) {
    std::fprintf(stderr, "souffleur bench: %s\n", system.error().c_str());
    return 1;
  }
  return measure(**system);
}

} // namespace souffleur
