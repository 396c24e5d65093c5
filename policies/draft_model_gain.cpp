#include "policies/draft_model_gain.hpp"

#include <algorithm>

namespace souffleur {

namespace {

/// Until something is known: a draft model that was chosen for its target is worth a try.
constexpr double prior_tried = 4;
constexpr double prior_stood = 3;
/// Tries after which a request's own count as much as all others'.
constexpr double request_weight = 8;
constexpr double decay_of_all = 0.99;
constexpr double decay_of_request = 0.95;
constexpr double decay_when_passed_over = 0.995;

void fade(asked_tokens& counted, double decay) {
  counted.n_tried *= decay;
  counted.n_stood *= decay;
}

} // namespace

double draft_model_gain::chance(const asked_tokens& of_request) const {
  const double of_all = (prior_stood + all_.n_stood) / (prior_tried + all_.n_tried);
  return (request_weight * of_all + of_request.n_stood) / (request_weight + of_request.n_tried);
}

double draft_model_gain::expected(int n_asked, const asked_tokens& of_request) const {
  const double one = chance(of_request);
  double all_so_far = 1;
  double sum = 0;
  for (int i = 0; i < n_asked; ++i)
    sum += all_so_far *= one;
  return sum;
}

void draft_model_gain::observe(int n_asked, const draft_tree& draft, std::span<const token_id> emitted,
                               asked_tokens& of_request) {
  const auto n_most = std::min(static_cast<std::size_t>(std::max(0, n_asked)), emitted.size());
  std::size_t n_stood = 0;
  while (n_stood < std::min(n_most, draft.nodes.size()) && draft.nodes[n_stood].token == emitted[n_stood])
    ++n_stood;
  const auto n_tried = std::min(n_stood + 1, n_most);
  fade(all_, decay_of_all);
  fade(of_request, decay_of_request);
  for (auto* counted : {&all_, &of_request}) {
    counted->n_tried += static_cast<double>(n_tried);
    counted->n_stood += static_cast<double>(n_stood);
  }
}

void draft_model_gain::pass_over(asked_tokens& of_request) {
  fade(all_, decay_when_passed_over);
  fade(of_request, decay_when_passed_over);
}

} // namespace souffleur
