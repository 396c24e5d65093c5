// How long a lookup by exact key takes through the response cache's actor, there and back.
// Usage: souffleur_cache_lookup_bench [ENTRIES [LOOKUPS]]
#include "actors/behaviors.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace souffleur;

cache_terms_ptr terms_of(std::int64_t number) {
  auto terms = std::make_shared<cache_terms>();
  key_encoder encoder;
  encoder.add(number);
  terms->key.exact = encoder.digest();
  terms->permit.exact = terms->permit.reads = true;
  terms->permit.ttl_s = 3600;
  return terms;
}

cached_answer_ptr answer_of(std::size_t n_tokens) {
  auto answer = std::make_shared<cached_answer>();
  for (std::size_t i = 0; i < n_tokens; ++i)
    answer->pieces.push_back({static_cast<token_id>(i), "word ", "word "});
  return answer;
}

double us_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

void print(const char* what, std::vector<double> us) {
  std::ranges::sort(us);
  const auto at = [&](double share) {
    return us[static_cast<std::size_t>(share * static_cast<double>(us.size() - 1))];
  };
  std::printf("%-8s p50 %7.1f us   p99 %7.1f us   most %8.1f us\n", what, at(0.5), at(0.99), us.back());
}

} // namespace

int main(int argc, char** argv) {
  const auto n_entries = argc > 1 ? std::atoll(argv[1]) : 10'000;
  const auto n_lookups = argc > 2 ? std::atoll(argv[2]) : 100'000;
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", std::size_t{2});
  caf::actor_system system{config};
  cache_parts parts;
  parts.desk.memory.max_bytes = std::size_t{8} << 30;
  parts.metrics = std::make_shared<serving_metrics>("bench");
  parts.lookup_budget = std::chrono::milliseconds{100};
  const auto cache = system.spawn(response_cache, parts);
  const auto answer = answer_of(200);
  for (std::int64_t i = 0; i < n_entries; ++i)
    caf::anon_send(cache, cache_insertion_ptr{std::make_shared<const cache_insertion>(
                              cache_insertion{terms_of(i), answer, std::make_shared<cache_finding>()})});
  caf::scoped_actor self{system};
  const auto look_up = [&](std::int64_t number) {
    const cache_lookup lookup{terms_of(number)};
    const auto start = std::chrono::steady_clock::now();
    bool is_hit = false;
    self->request(cache, std::chrono::seconds{600}, lookup)
        .receive([&](const cache_finding_ptr& found) { is_hit = found->answer != nullptr; },
                 [](const caf::error&) {});
    const double us = us_since(start);
    if (is_hit != (number < n_entries))
      std::printf("lookup %lld is wrong\n", static_cast<long long>(number));
    return us;
  };
  look_up(0); // behind all insertions
  std::vector<double> hits, misses;
  for (std::int64_t i = 0; i < n_lookups; ++i) {
    hits.push_back(look_up(i * 7919 % n_entries));
    misses.push_back(look_up(n_entries + i));
  }
  std::printf("%lld entries\n", static_cast<long long>(n_entries));
  print("hits", std::move(hits));
  print("misses", std::move(misses));
  caf::anon_send_exit(cache, caf::exit_reason::user_shutdown);
  return 0;
}
