// What it brings to ask a draft model, before it is asked.
#pragma once

#include "policies/draft_tree.hpp"

#include <span>

namespace souffleur {

/// Of tokens that a draft model was asked for: how often the next one was drafted and stood. Fades.
struct asked_tokens {
  double n_tried = 0;
  double n_stood = 0;
};

/// Counts over all requests, and over the one at hand; the number of tokens that stand in a row is taken to
/// be geometric (arXiv 2211.17192, eq. 1). Where nobody is asked, what was learnt fades, so that after a
/// while one question more is worth its price: giving up is never for good, and coming back costs little.
class draft_model_gain {
public:
  /// Tokens of `n_asked` that are expected to stand: 0 ≤ result ≤ n_asked, and never falling in n_asked.
  double expected(int n_asked, const asked_tokens& of_request) const;
  /// `draft` is what came of the question, perhaps nothing; `emitted` followed.
  void observe(int n_asked, const draft_tree& draft, std::span<const token_id> emitted,
               asked_tokens& of_request);
  /// The request could have been asked about, and it did not seem to pay.
  void pass_over(asked_tokens& of_request);

private:
  double chance(const asked_tokens& of_request) const;

  asked_tokens all_;
};

} // namespace souffleur
