// What a draft model brings: a target drafted for by a smaller model of its family, taking turns,
// over prompts of one category. No server; the time is that of both models' passes, after the
// prompt. Prints T(M) of both, what each way of drafting reached, and what acceptance and T(M) allow.
// usage: souffleur_draft_model_bench TARGET.gguf DRAFT.gguf PROMPTS.jsonl [CATEGORY N_PROMPTS N_TOKENS]
#include "engine/drafting/model_drafter.hpp"
#include "engine/drafting/shared_vocabulary.hpp"
#include "engine/model/load_model.hpp"
#include "engine/sampler.hpp"
#include "engine/step_times.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

namespace souffleur {
namespace {

using clock = std::chrono::steady_clock;

constexpr int n_pages = 128;
constexpr int chunk = 64;

double s_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

struct loaded {
  std::shared_ptr<language_model> model;
  std::shared_ptr<const tokenizer> vocabulary;
};

loaded load(const char* path) {
  const auto file = gguf_file::open(path);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", file.error().c_str());
    std::exit(1);
  }
  model_options options;
  options.n_kv_pages = n_pages;
  auto model = load_model(*file, options);
  auto vocabulary = tokenizer::from_gguf(**file);
  if (!model.ok() || !vocabulary.ok()) {
    std::fprintf(stderr, "%s\n", (model.ok() ? vocabulary.error() : model.error()).c_str());
    std::exit(1);
  }
  return {*model, *vocabulary};
}

std::vector<std::string> prompts_of(const char* path, const std::string& category, std::size_t n_most) {
  std::ifstream lines{path};
  std::vector<std::string> prompts;
  for (std::string line; std::getline(lines, line) && prompts.size() < n_most;) {
    const auto entry = boost::json::parse(line);
    if (entry.at("category").as_string() == category)
      prompts.emplace_back(entry.at("turns").at(0).as_string());
  }
  return prompts;
}

struct way {
  int max_draft = 0; ///< 0: speculation off
  double least_probability = 0;
  float temperature = 0;
  const char* acceptance = "greedy"; ///< greedy, coupled or gumbel: how the target takes its tokens
  draft_draw draw = draft_draw::most_likely;
};

struct outcome {
  std::vector<token_id> tokens;
  double s = 0;
  double draft_s = 0;
  int n_steps = 0;
  std::vector<int> n_drafted = std::vector<int>(16);  ///< by place in the draft
  std::vector<int> n_accepted = std::vector<int>(16); ///< the same, of those whose forerunners stood
};

class runner {
public:
  runner(const loaded& target, const loaded& draft, int n_shared)
      : target_(target.model), draft_(draft.model), n_shared_(n_shared),
        pages_(static_cast<std::size_t>(n_pages)) {
    std::iota(pages_.begin(), pages_.end(), 0);
    sampling_.seed = 17;
  }

  outcome run(const std::vector<token_id>& prompt, int n_tokens, const way& how) {
    sampling_.temperature = how.temperature;
    model_drafter drafter{
        draft_,
        n_shared_,
        {},
        make_eviction_policy("lru"),
        {.n_catch_up_rows = chunk, .least_probability = how.least_probability, .draw = how.draw}};
    auto text = prompt;
    text.push_back(prefill(prompt, how));
    const auto n_all = prompt.size() + static_cast<std::size_t>(n_tokens);
    if (how.max_draft > 0)
      for (std::size_t i = 0; i <= prompt.size() / chunk; ++i)
        propose(drafter, text, 0, 1);
    outcome made;
    const auto start = clock::now();
    auto n_told = std::size_t{0};
    while (text.size() < n_all) {
      ++made.n_steps;
      std::vector<token_id> rows{text.back()};
      const int n_most = std::min(how.max_draft, static_cast<int>(n_all - text.size()) - 1);
      if (n_most > 0) {
        const auto drafting = clock::now();
        const auto drafted = propose(drafter, text, n_told, n_most);
        rows.insert(rows.end(), drafted.begin(), drafted.end());
        n_told = text.size();
        made.draft_s += s_since(drafting);
      }
      const auto logits = forward(rows, static_cast<int>(text.size()) - 1, static_cast<int>(rows.size()));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        text.push_back(taken(logits.subspan(i * vocabulary(), vocabulary()), text.size(), how));
        if (i + 1 == rows.size())
          break;
        ++made.n_drafted[i];
        if (text.back() != rows[i + 1])
          break;
        ++made.n_accepted[i];
      }
    }
    made.s = s_since(start);
    made.tokens = {text.begin() + static_cast<std::ptrdiff_t>(prompt.size()), text.end()};
    return made;
  }

private:
  std::size_t vocabulary() const { return static_cast<std::size_t>(target_->vocabulary_size()); }

  std::span<const float> forward(std::span<const token_id> tokens, int first, int n_logits) {
    logits_.resize(std::max(logits_.size(), static_cast<std::size_t>(n_logits) * vocabulary()));
    const sequence_rows rows{
        .pages = pages_, .first_position = first, .tokens = tokens, .n_logit_rows = n_logits};
    const auto logits = std::span{logits_}.first(static_cast<std::size_t>(n_logits) * vocabulary());
    target_->forward({&rows, 1}, logits);
    return logits;
  }

  token_id taken(std::span<const float> logits, std::size_t position, const way& how) {
    if (how.temperature == 0)
      return argmax(logits);
    scratch_.assign(logits.begin(), logits.end());
    const auto law = next_token_distribution(scratch_, sampling_, nullptr, {});
    const auto coins = coins_at(sampling_.seed, position);
    return how.acceptance == std::string_view{"gumbel"} ? coins.race(0, law)
                                                        : draw(coins, {0, rng_purpose::sample}, law);
  }

  token_id prefill(const std::vector<token_id>& prompt, const way& how) {
    token_id next = 0;
    for (std::size_t at = 0; at < prompt.size(); at += chunk) {
      const auto part = std::span{prompt}.subspan(at, std::min<std::size_t>(chunk, prompt.size() - at));
      const bool last = at + part.size() == prompt.size();
      const auto logits = forward(part, static_cast<int>(at), last ? 1 : 0);
      if (last)
        next = taken(logits, prompt.size(), how);
    }
    return next;
  }

  std::vector<token_id> propose(model_drafter& drafter, const std::vector<token_id>& text, std::size_t n_told,
                                int n_most) {
    const model_draft_wish wish{.id = 1,
                                .salt = "",
                                .offset = static_cast<int>(n_told),
                                .appended = std::span{text}.subspan(n_told),
                                .n_prompt = 0,
                                .n_max = n_most,
                                .sampling = &sampling_};
    return drafter.propose({&wish, 1})[0].draft.tokens();
  }

  std::shared_ptr<language_model> target_;
  std::shared_ptr<language_model> draft_;
  int n_shared_;
  std::vector<page_id> pages_;
  std::vector<float> logits_;
  std::vector<float> scratch_;
  sampling_params sampling_;
};

double at_rows(const std::vector<step_time>& times, int n_rows) {
  for (std::size_t i = 1; i < times.size(); ++i)
    if (times[i].n_rows >= n_rows) {
      const auto& [low, high] = std::pair{times[i - 1], times[i]};
      return low.us + (high.us - low.us) * (n_rows - low.n_rows) / (high.n_rows - low.n_rows);
    }
  return times.back().us;
}

/// Fewer rows never take longer: what says so was disturbed.
std::vector<step_time> undisturbed(std::vector<step_time> times) {
  for (std::size_t i = times.size() - 1; i > 0; --i)
    times[i - 1].us = std::min(times[i - 1].us, times[i].us);
  return times;
}

void print_times(const char* who, const std::vector<step_time>& times) {
  std::printf("T(M) of the %s, ms:", who);
  for (const auto& one : times)
    std::printf("  %d: %.1f", one.n_rows, one.us / 1e3);
  std::printf("\n");
}

} // namespace
} // namespace souffleur

int main(int n_arguments, char** arguments) {
  using namespace souffleur;
  if (n_arguments < 4) {
    std::fprintf(stderr, "usage: %s TARGET.gguf DRAFT.gguf PROMPTS.jsonl [CATEGORY N_PROMPTS N_TOKENS]\n",
                 arguments[0]);
    return 2;
  }
  const std::string category = n_arguments > 4 ? arguments[4] : "coding";
  const int n_prompts = n_arguments > 5 ? std::atoi(arguments[5]) : 4;
  const int n_tokens = n_arguments > 6 ? std::atoi(arguments[6]) : 64;
  const auto target = load(arguments[1]);
  const auto draft = load(arguments[2]);
  const auto n_shared = shared_vocabulary(*target.vocabulary, *draft.vocabulary);
  if (!n_shared.ok()) {
    std::fprintf(stderr, "%s\n", n_shared.error().c_str());
    return 1;
  }
  const auto target_times = undisturbed(measure_steps(*target.model));
  const auto draft_times = undisturbed(measure_steps(*draft.model));
  std::printf("tokens in common: %d\n", *n_shared);
  print_times("target", target_times);
  print_times("draft model", draft_times);

  using enum draft_draw;
  const std::vector<way> ways{{0},
                              {1},
                              {2},
                              {4},
                              {8, 0.8},
                              {0, 0, 0.8F, "coupled", coupled},
                              {4, 0, 0.8F, "coupled", coupled},
                              {4, 0, 0.8F, "coupled", most_likely},
                              {0, 0, 0.8F, "gumbel", gumbel},
                              {4, 0, 0.8F, "gumbel", gumbel}};
  std::vector<outcome> sums(ways.size());
  runner run{target, draft, *n_shared};
  bool identical = true;
  for (const auto& prompt : prompts_of(arguments[3], category, static_cast<std::size_t>(n_prompts))) {
    const auto tokens = target.vocabulary->encode(
        "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n", true);
    std::vector<token_id> plain;
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const auto made = run.run(tokens, n_tokens, ways[i]);
      if (ways[i].max_draft == 0)
        plain = made.tokens;
      // A step may bring more than was left to bring, never fewer.
      identical = identical && made.tokens.size() >= plain.size() &&
                  std::equal(plain.begin(), plain.end(), made.tokens.begin());
      sums[i].s += made.s;
      sums[i].draft_s += made.draft_s;
      sums[i].n_steps += made.n_steps;
      for (std::size_t k = 0; k < made.n_drafted.size(); ++k) {
        sums[i].n_drafted[k] += made.n_drafted[k];
        sums[i].n_accepted[k] += made.n_accepted[k];
      }
      std::fprintf(stderr, "draft %d: %.2f s\n", ways[i].max_draft, made.s);
    }
  }
  std::printf("texts with drafts are those without: %s\n", identical ? "yes" : "NO");
  std::printf("%5s %8s %4s %10s %12s %7s %6s %11s %10s  acceptance by place\n", "draft", "least p", "T",
              "acceptance", "drawn", "ratio", "steps", "draft time", "verify/T1");
  const char* const drawn[] = {"most likely", "coupled", "gumbel"};
  std::size_t off = 0;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    off = ways[i].max_draft == 0 ? i : off;
    const auto& one = sums[i];
    std::printf("%5d %8.2f %4.1f %10s %12s %7.3f %6d %10.0f%% %10.2f ", ways[i].max_draft,
                ways[i].least_probability, static_cast<double>(ways[i].temperature), ways[i].acceptance,
                drawn[static_cast<int>(ways[i].draw)], sums[off].s / one.s, one.n_steps,
                100 * one.draft_s / one.s,
                (one.s - one.draft_s) / one.n_steps / (sums[off].s / sums[off].n_steps));
    for (std::size_t k = 0; k < one.n_drafted.size() && one.n_drafted[k] > 0; ++k)
      std::printf(" %.2f", static_cast<double>(one.n_accepted[k]) / one.n_drafted[k]);
    std::printf("\n");
  }
  const auto& longest = sums[3];
  const double acceptance =
      std::accumulate(longest.n_accepted.begin(), longest.n_accepted.end(), 0.0) /
      std::max(1, std::accumulate(longest.n_drafted.begin(), longest.n_drafted.end(), 0));
  std::printf("bound from T(M) by draft length, at the measured acceptance of %.2f and at 1:\n", acceptance);
  for (int k = 1; k <= 8; ++k) {
    const double cost =
        (at_rows(target_times, k + 1) + k * at_rows(draft_times, 1)) / at_rows(target_times, 1);
    double n_expected = 1;
    for (int i = 1; i <= k; ++i)
      n_expected += std::pow(acceptance, i);
    std::printf("  %d: %.2f %.2f", k, n_expected / cost, (k + 1) / cost);
  }
  std::printf("\n");
  return identical ? 0 : 1;
}
