// Speed of a model's forward pass: decoding at several batch sizes and the prefill of a prompt.
//   souffleur_forward_bench MODEL.gguf [depth = 0] [threads = 2] [repeats = 5]
// `depth` positions are in the cache before the timed ones. Prints the median of the repeats.
#include "engine/model/load_model.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>

namespace souffleur {
namespace {

constexpr int prompt_tokens = 512;
constexpr int decode_steps = 32;
constexpr int max_batch = 16;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median_seconds(int n_repeats, const std::function<void()>& work) {
  work();
  std::vector<double> times;
  for (int i = 0; i < n_repeats; ++i)
    times.push_back(seconds_of(work));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

class forward_bench {
public:
  forward_bench(language_model& model, int depth, int n_repeats)
      : model_(model), depth_(depth), n_repeats_(n_repeats),
        n_pages_each_((depth + prompt_tokens) / page_tokens + 1), tokens_(depth + prompt_tokens),
        logits_(static_cast<std::size_t>(max_batch) * model.vocabulary_size()) {
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      tokens_[i] = static_cast<token_id>((i * 7919 + 13) % 40000);
    for (int s = 0; s < max_batch; ++s) {
      pages_.emplace_back(n_pages_each_);
      std::iota(pages_.back().begin(), pages_.back().end(), s * n_pages_each_);
    }
  }

  static int n_pages_needed(int depth) { return max_batch * ((depth + prompt_tokens) / page_tokens + 1); }

  void run() {
    for (int s = 0; s < max_batch; ++s)
      for (int at = 0; at < depth_; at += prompt_tokens)
        step({rows_of(s, at, std::min(prompt_tokens, depth_ - at), 0)});
    const double prefill = median_seconds(n_repeats_, [&] { step({rows_of(0, depth_, prompt_tokens, 1)}); });
    std::printf("depth %d: prefill of %d tokens %.1f tok/s (%.1f ms)\n", depth_, prompt_tokens,
                prompt_tokens / prefill, prefill * 1e3);
    for (const int n : {1, 4, max_batch}) {
      const double decode = median_seconds(n_repeats_, [&] { decode_all(n); }) / decode_steps;
      std::printf("depth %d: decode, batch %2d: %.1f tok/s (%.3f ms a step)\n", depth_, n, n / decode,
                  decode * 1e3);
    }
  }

private:
  sequence_rows rows_of(int sequence, int first, int n, int n_logit_rows) const {
    return {pages_[static_cast<std::size_t>(sequence)], first, std::span{tokens_}.subspan(first, n),
            n_logit_rows};
  }
  void step(const std::vector<sequence_rows>& batch) {
    std::size_t n_logits = 0;
    for (const auto& rows : batch)
      n_logits += static_cast<std::size_t>(rows.n_logit_rows);
    model_.forward(batch, std::span{logits_}.first(n_logits * model_.vocabulary_size()));
  }
  void decode_all(int n_sequences) {
    for (int i = 0; i < decode_steps; ++i) {
      std::vector<sequence_rows> batch;
      for (int s = 0; s < n_sequences; ++s)
        batch.push_back(rows_of(s, depth_ + i, 1, 1));
      step(batch);
    }
  }

  language_model& model_;
  int depth_;
  int n_repeats_;
  int n_pages_each_;
  std::vector<token_id> tokens_;
  std::vector<float> logits_;
  std::vector<std::vector<page_id>> pages_;
};

int bench_main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MODEL.gguf [depth] [threads] [repeats]\n", argv[0]);
    return 2;
  }
  const int depth = argc > 2 ? std::atoi(argv[2]) : 0;
  const int n_threads = argc > 3 ? std::atoi(argv[3]) : 2;
  const auto file = gguf_file::open(argv[1]);
  if (!file) {
    std::fprintf(stderr, "%s\n", file.error().c_str());
    return 1;
  }
  const auto model = load_model(*file, {n_threads, forward_bench::n_pages_needed(depth)});
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().c_str());
    return 1;
  }
  forward_bench{**model, depth, argc > 4 ? std::atoi(argv[4]) : 5}.run();
  return 0;
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) { return souffleur::bench_main(argc, argv); }
