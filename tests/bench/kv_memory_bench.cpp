// What the KV memory's bookkeeping costs, with a tree of 100,000 cached pages and none free: an opening
// (match, pin, allocate), and the memory's share of a decode step. Prints one line a case: median (least to
// most), in microseconds.
#include "actors/kv_step.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace souffleur {
namespace {

constexpr int n_cached_pages = 100'000;
constexpr int n_prompt_tokens = 1500;
constexpr int n_new_tokens = 128; ///< of a prompt that is cached up to there
constexpr int n_repetitions = 2000;
constexpr int n_decoding = 32;

double now_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Conversations about a few hundred documents: prompt number i shares a random part of its document.
class workload {
public:
  std::vector<token_id> next() {
    auto prompt = document(random_() % 300);
    prompt.resize(random_() % n_prompt_tokens);
    while (prompt.size() < n_prompt_tokens)
      prompt.push_back(static_cast<token_id>(random_() % 50'000));
    return prompt;
  }
  static std::vector<token_id> with_new_end(std::vector<token_id> prompt, unsigned number) {
    std::mt19937 random{number};
    for (auto i = prompt.size() - n_new_tokens; i < prompt.size(); ++i)
      prompt[i] = static_cast<token_id>(random() % 50'000);
    return prompt;
  }

private:
  static std::vector<token_id> document(unsigned number) {
    std::mt19937 random{number};
    std::vector<token_id> tokens(n_prompt_tokens);
    for (auto& token : tokens)
      token = static_cast<token_id>(random() % 50'000);
    return tokens;
  }
  std::mt19937 random_{1};
};

void report(const char* what, std::vector<double>& us) {
  std::sort(us.begin(), us.end());
  std::printf("%-78s %8.1f (%.1f-%.1f; 99 %%: %.1f)\n", what, us[us.size() / 2], us.front(), us.back(),
              us[us.size() * 99 / 100]);
  std::fflush(stdout);
}

/// The prompts that filled the pool, oldest first.
std::vector<std::vector<token_id>> fill(kv_manager& kv) {
  workload work;
  std::vector<std::vector<token_id>> prompts;
  for (sequence_id id = 1; kv.counters().n_evicted_pages < 1000; ++id) {
    auto prompt = work.next();
    kv.begin(id, "", prompt);
    kv.reserve(id, n_prompt_tokens);
    kv.publish(id, prompt);
    kv.end(id);
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

void measure_openings(kv_manager& kv, const std::vector<std::vector<token_id>>& prompts) {
  std::vector<double> us;
  long n_found = 0;
  for (unsigned i = 0; i < n_repetitions; ++i) {
    const auto prompt = workload::with_new_end(prompts[prompts.size() - 1 - i % (prompts.size() / 2)], i);
    kv_demand demand;
    demand.openings.push_back({1'000'000 + i, "", prompt, n_prompt_tokens + 1, 0});
    const double start = now_us();
    const auto supply = carry_out(demand, kv);
    us.push_back(now_us() - start);
    n_found += supply.openings.front().n_cached_tokens;
    kv_demand ending;
    ending.publications.push_back({1'000'000 + i, 0, prompt});
    ending.endings.push_back(1'000'000 + i);
    carry_out(ending, kv);
  }
  report("open a prompt of 1,500 tokens, all but 128 cached: match, pin, allocate", us);
  std::printf("  (found %ld tokens on average)\n", n_found / n_repetitions);
}

/// Sequences of 1,500 to 3,500 tokens, each of which gets a page and publishes one in every 16th step;
/// `apart` says how many tokens each is shorter than the one before it. Time includes making the demand, as
/// the scheduler does.
void measure_decoding(kv_manager& kv, const std::vector<std::vector<token_id>>& prompts, int apart) {
  struct running {
    sequence_id id = 0;
    std::vector<token_id> tokens;
    std::size_t n_covered = 0;
  };
  std::vector<running> batch;
  for (int i = 0; i < n_decoding; ++i) {
    running one{2'000'000 + static_cast<sequence_id>(i),
                prompts[prompts.size() - 1 - static_cast<std::size_t>(i)], 0};
    one.tokens.resize(one.tokens.size() - static_cast<std::size_t>(i * apart));
    kv_demand demand;
    demand.openings.push_back({one.id, "", one.tokens, static_cast<int>(one.tokens.size()) + 1, 0});
    one.n_covered = carry_out(demand, kv).openings.front().pages.size() * page_tokens;
    batch.push_back(std::move(one));
  }
  std::vector<double> us, us_saving;
  std::size_t n_saved = 0;
  for (int step = 0; step < n_repetitions; ++step) {
    for (auto& one : batch)
      one.tokens.push_back(static_cast<token_id>(step % 1000));
    const double start = now_us();
    kv_demand demand;
    for (auto& one : batch) {
      const bool has_full_page = one.tokens.size() % page_tokens == 0;
      if (has_full_page)
        demand.publications.push_back({one.id,
                                       static_cast<int>(one.tokens.size()) - page_tokens,
                                       {one.tokens.end() - page_tokens, one.tokens.end()}});
      if (has_full_page || one.tokens.size() >= one.n_covered) {
        demand.reservations.push_back({one.id, static_cast<int>(one.tokens.size()) + 1, 0, 0});
        one.n_covered = (one.tokens.size() / page_tokens + 1) * page_tokens;
      }
    }
    carry_out(demand, kv);
    us.push_back(now_us() - start);
    if (!demand.publications.empty()) {
      us_saving.push_back(us.back());
      n_saved += demand.publications.size();
    }
  }
  const auto name = "a decode step of " + std::to_string(n_decoding) + " sequences";
  report((name + (apart > 0 ? ", not in step" : ", all in step")).c_str(), us);
  const auto n_pages = std::to_string(n_saved / std::max<std::size_t>(1, us_saving.size()));
  report(("  one that puts full pages into the tree, " + n_pages + " on average").c_str(), us_saving);
  kv_demand ending;
  for (const auto& one : batch)
    ending.endings.push_back(one.id);
  carry_out(ending, kv);
}

void run(const char* eviction) {
  std::printf("eviction %s\n", eviction);
  kv_manager kv(n_cached_pages, make_eviction_policy(eviction));
  const auto prompts = fill(kv);
  measure_openings(kv, prompts);
  measure_decoding(kv, prompts, 1);
  measure_decoding(kv, prompts, 0);
  const auto held = kv.occupancy();
  std::printf("  %d pages, %d free; %s\n", held.n_total, held.n_free,
              kv.check_integrity().empty() ? "intact" : kv.check_integrity().c_str());
}

} // namespace
} // namespace souffleur

int main() {
  for (const char* eviction : {"lru", "gdsf", "lhd"})
    souffleur::run(eviction);
}
