// Rejection sampling, token by token.
#pragma once

#include "policies/row_policy.hpp"

namespace souffleur {

/// A child x that was drawn from q stands with probability min(1, r(x) / q(x)), where r is the target's law
/// at first; if it does not, r becomes its residual max(r − q, 0), normalised, and q goes on without x. If
/// none stands the token is drawn from r. A child that was chosen without a coin counts as drawn from a point
/// mass.
///
/// Leviathan, Kalman and Matias 2023, "Fast inference from transformers via speculative decoding"; with
/// siblings Chen et al. 2024, "Sequoia: scalable, robust, and hardware-aware speculative decoding".
class token_rejection final : public row_policy {
public:
  std::string_view name() const override { return "token"; }
  bool lossless() const override { return true; }

protected:
  row_plan plan_row(const drafted_row& row) const override;
  row_verdict decide_row(const drafted_row& row, int depth, const coins& from) const override;
};

} // namespace souffleur
