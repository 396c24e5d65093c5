// What a step of eight rows takes as a chain and as trees of several shapes, interleaved, with what it costs
// to keep the last branch. Prints one line a depth and shape: median (least to most) in ms, and the median
// ratio to the chain of the same round. Takes the path of a GGUF file.
#include "engine/model/load_model.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

namespace souffleur {
namespace {

constexpr int n_rows = 8;
constexpr int n_rounds = 60;
constexpr int n_warm_up = 5;
constexpr int most_positions = 2048;

struct shape {
  const char* name;
  std::vector<int> parents; ///< empty: a chain
};

const std::vector<shape> shapes{{"chain", {}},
                                {"chain given as a tree", {-1, 0, 1, 2, 3, 4, 5, 6}},
                                {"a chain of six, one beside it", {-1, 0, 1, 2, 3, 4, 5, 0}},
                                {"two chains", {-1, 0, 0, 1, 2, 3, 4, 5}},
                                {"binary", {-1, 0, 0, 1, 1, 2, 2, 3}},
                                {"seven leaves", {-1, 0, 0, 0, 0, 0, 0, 0}}};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

class bench {
public:
  explicit bench(std::shared_ptr<language_model> model)
      : model_(std::move(model)), vocabulary_(static_cast<std::size_t>(model_->vocabulary_size())),
        pages_(most_positions / page_tokens), tokens_(most_positions), logits_(n_rows * vocabulary_) {
    std::iota(pages_.begin(), pages_.end(), 0);
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      tokens_[i] = static_cast<token_id>((i * 7919 + 13) % vocabulary_);
  }

  void measure(int depth) {
    for (; n_filled_ < depth; n_filled_ += page_tokens)
      forward(n_filled_, page_tokens, 0, {});
    std::vector<std::vector<double>> ms(shapes.size());
    std::vector<std::vector<double>> ratios(shapes.size());
    for (int round = 0; round < n_warm_up + n_rounds; ++round)
      for (std::size_t i = 0; i < shapes.size(); ++i) {
        const auto start = std::chrono::steady_clock::now();
        // Not at the same place of a page in every round.
        forward(depth - page_tokens + round % page_tokens, n_rows, n_rows, shapes[i].parents);
        if (!shapes[i].parents.empty())
          model_->keep(0, n_rows - 1);
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        if (round < n_warm_up)
          continue;
        ms[i].push_back(took.count());
        ratios[i].push_back(took.count() / ms[0].back());
      }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const auto [least, most] = std::ranges::minmax(ms[i]);
      std::printf("%5d positions, %-30s %7.2f ms (%.2f-%.2f)   x %.3f\n", depth, shapes[i].name,
                  median(ms[i]), least, most, median(ratios[i]));
    }
    std::fflush(stdout);
  }

private:
  void forward(int first, int n, int n_logit_rows, std::span<const int> parents) {
    const sequence_rows rows{
        pages_,
        first,
        std::span{tokens_}.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)),
        n_logit_rows,
        0,
        parents};
    const auto n_logits = static_cast<std::size_t>(n_logit_rows) * vocabulary_;
    model_->forward({&rows, 1}, std::span{logits_}.first(n_logits));
  }

  std::shared_ptr<language_model> model_;
  std::size_t vocabulary_;
  std::vector<page_id> pages_;
  std::vector<token_id> tokens_;
  std::vector<float> logits_;
  int n_filled_ = 0;
};

int run(const std::string& path) {
  const auto file = gguf_file::open(path);
  if (!file.ok()) {
    std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
    return 1;
  }
  const auto model = load_model(*file, {2, most_positions / page_tokens});
  if (!model.ok()) {
    std::fprintf(stderr, "%s: no model that is known\n", path.c_str());
    return 1;
  }
  bench all{*model};
  for (const int depth : {128, 512, 1536})
    all.measure(depth);
  return 0;
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: souffleur_tree_step_bench MODEL.gguf\n");
    return 2;
  }
  return souffleur::run(argv[1]);
}
