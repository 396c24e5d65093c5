#include "policies/prefill_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

using namespace souffleur;

namespace {

worker_view any_view(worker_id id) {
  worker_view view;
  view.id = id;
  view.takes_requests = *rc::gen::weightedElement<bool>({{4, true}, {1, false}});
  view.n_streams = *rc::gen::inRange(0, 3);
  view.n_waiting_tokens = *rc::gen::inRange(0, 200);
  view.n_matched_tokens = *rc::gen::inRange(0, 10) * 16;
  return view;
}

} // namespace

RC_GTEST_PROP(PrefillPolicy, LeavesALongRestToTheWorkerThatHasItFirstAndNothingElseToAnybody, ()) {
  std::vector<worker_view> workers;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i)
    workers.push_back(any_view(workers.size() + 1));
  prefill_rules rules;
  rules.min_tokens = *rc::gen::inRange(1, 100);
  rules.max_waiting_tokens = *rc::gen::inRange(0, 200);
  const int n_prompt = *rc::gen::inRange(1, 200);
  const int n_held = *rc::gen::inRange(0, n_prompt);
  const auto chosen = choose_prefill_worker(n_prompt, n_held, workers, rules);

  std::vector<std::size_t> able;
  for (std::size_t i = 0; i < workers.size(); ++i)
    if (workers[i].takes_requests && workers[i].n_waiting_tokens <= rules.max_waiting_tokens)
      able.push_back(i);
  RC_ASSERT(chosen.has_value() == (n_prompt - n_held >= rules.min_tokens && !able.empty()));
  if (!chosen)
    return;
  RC_ASSERT(std::ranges::count(able, *chosen) == 1);
  const auto n_ahead = [&](std::size_t i) { return tokens_ahead({0, n_prompt}, workers[i], {}); };
  for (const auto i : able)
    RC_ASSERT((n_ahead(*chosen) < n_ahead(i) || (n_ahead(*chosen) == n_ahead(i) && *chosen <= i)));
}
