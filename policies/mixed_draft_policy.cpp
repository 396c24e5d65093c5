#include "policies/mixed_draft_policy.hpp"

#include <algorithm>
#include <cstddef>

namespace souffleur {

mixed_draft_policy::mixed_draft_policy(std::string_view of_server, const known_costs& measured)
    : of_server_(of_server) {
  for (const auto* name : {"off", "fixed", "adaptive"})
    kinds_.push_back(make_draft_policy(name, measured));
}

std::string_view mixed_draft_policy::in_force(std::string_view of_request) const {
  return of_request.empty() || of_server_ == "off" ? of_server_ : of_request;
}

template <class Decide>
void mixed_draft_policy::for_each_kind(std::span<const draft_candidate> candidates, Decide decide) {
  for (const auto& kind : kinds_) {
    std::vector<draft_candidate> of_kind;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < candidates.size(); ++i)
      if (in_force(candidates[i].policy) == kind->name()) {
        of_kind.push_back(candidates[i]);
        places.push_back(i);
      }
    if (!of_kind.empty())
      decide(*kind, of_kind, places);
  }
}

int mixed_draft_policy::n_wished(const draft_situation& now) const {
  const auto kind =
      std::ranges::find(kinds_, in_force(now.policy), [](const auto& one) { return one->name(); });
  return (*kind)->n_wished(now);
}

std::vector<draft_choice> mixed_draft_policy::choose(std::span<const draft_candidate> candidates,
                                                     const step_shape& step) {
  std::vector<draft_choice> choices(candidates.size());
  auto taken = step;
  for_each_kind(candidates, [&](draft_policy& kind, const auto& of_kind, const auto& places) {
    const auto chosen = kind.choose(of_kind, taken);
    for (std::size_t i = 0; i < places.size(); ++i) {
      choices[places[i]] = chosen[i];
      taken.n_rows += chosen[i].n_tokens;
    }
  });
  return choices;
}

std::vector<int> mixed_draft_policy::n_asked_of_model(std::span<const draft_candidate> candidates,
                                                      const step_shape& step) {
  std::vector<int> all(candidates.size());
  auto taken = step;
  for_each_kind(candidates, [&](draft_policy& kind, const auto& of_kind, const auto& places) {
    const auto asked = kind.n_asked_of_model(of_kind, taken);
    for (std::size_t i = 0; i < places.size(); ++i) {
      all[places[i]] = asked[i];
      taken.n_rows += asked[i];
    }
  });
  return all;
}

void mixed_draft_policy::observe(const draft_tree& draft, std::span<const token_id> emitted,
                                 draft_record& of_request) {
  for (const auto& kind : kinds_)
    kind->observe(draft, emitted, of_request);
}

void mixed_draft_policy::observe_model(int n_asked, const draft_tree& draft,
                                       std::span<const token_id> emitted, draft_record& of_request) {
  for (const auto& kind : kinds_)
    kind->observe_model(n_asked, draft, emitted, of_request);
}

void mixed_draft_policy::step_took(const step_time& step) {
  for (const auto& kind : kinds_)
    kind->step_took(step);
}

void mixed_draft_policy::model_took(const step_time& pass) {
  for (const auto& kind : kinds_)
    kind->model_took(pass);
}

void mixed_draft_policy::model_measured(std::span<const step_time> passes) {
  for (const auto& kind : kinds_)
    kind->model_measured(passes);
}

} // namespace souffleur
