// The seam between the serving actors and whatever computes logits.
#pragma once

#include "policies/token.hpp"

#include <span>
#include <string>

namespace souffleur {

/// The rows that one sequence brings to a step: `tokens` at positions first_position, first_position + 1, ...
/// Their keys and values are written to `pages`, and they attend to every position up to their own.
struct sequence_rows {
  std::span<const page_id> pages;   ///< page of position p is pages[p / page_tokens]; covers all rows
  int first_position = 0;           ///< positions [0, first_position) are already in the pages
  std::span<const token_id> tokens; ///< (n_rows,)
  int n_logit_rows = 0;             ///< the last n rows get logits
};

/// A target or draft model with its own KV pool. One thread calls `forward` at a time.
///
/// Invariant (batch invariance): the logits of a row are bit-identical whatever other sequences share the
/// batch and however the earlier positions were split into calls.
class language_model {
public:
  virtual ~language_model() = default;
  virtual int vocabulary_size() const = 0;
  virtual int context_length() const = 0;
  virtual int n_pages() const = 0;
  /// Identifies weights and format; equal fingerprints give equal logits on one machine.
  virtual const std::string& fingerprint() const = 0;
  /// `logits` is (sum of n_logit_rows, vocabulary_size), row-major, in batch order.
  virtual void forward(std::span<const sequence_rows> batch, std::span<float> logits) = 0;
};

} // namespace souffleur
