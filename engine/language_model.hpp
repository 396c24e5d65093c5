// The seam between the serving actors and whatever computes logits.
#pragma once

#include "engine/token_draw.hpp"
#include "policies/token.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace souffleur {

/// The rows that one sequence brings to a step: `tokens` at positions first_position, first_position + 1, ...
/// Their keys and values are written to `pages`, and they attend to every position kept up to their own.
///
/// A stream without end drops whole pages after its first ones, the sinks (StreamingLLM, arXiv 2309.17453).
/// What follows the gap keeps its positions; the sinks' keys are turned on by n_dropped, so that every
/// distance is what it would be without the gap.
///
/// With `parents` the rows are a tree: a row stands one position after its parent and attends to what is
/// before the tree and to its ancestors alone. `pages` then have the keys and values of the path down the
/// first children; any other path's can be kept instead.
struct sequence_rows {
  std::span<const page_id> pages;    ///< kept, in order: of position p, [(p - n_dropped) / page_tokens]
  int first_position = 0;            ///< those before are already in the pages, or dropped
  std::span<const token_id> tokens;  ///< (n_rows,)
  int n_logit_rows = 0;              ///< the last n rows get logits
  int n_dropped = 0;                 ///< positions between the sinks and what follows; whole pages
  std::span<const int> parents = {}; ///< (n_rows,): an earlier row, -1: what is before; empty: a chain
  bool wants_choices = false;        ///< the reader of its logits asks for nothing but a token of each row
  std::span<const token_draw> draws =
      {}; ///< (n_logit_rows,): how such a token is drawn; empty: the largest's
};

/// Pages that all trees of a step may take beside their sequences' own: tree_lines says how many one takes.
/// A model has them for itself, since what lies there is of no use to anybody after the step.
constexpr int n_scratch_pages = 64;

/// Page `to` becomes a copy of page `from`, whose keys are `n_positions` further on; with 0, bit by bit.
struct page_turn {
  page_id from = 0;
  page_id to = 0;
  int n_positions = 0;
};

/// Logits that forward_each has room for, unless one sequence has more rows.
constexpr int logit_rows_at_once = 36;

/// What the rows of a sequence that get logits gave.
struct row_outputs {
  std::span<const float> logits; ///< (n_logit_rows, vocabulary_size)
  /// (n_logit_rows,): a token of each, drawn as the sequence says, or the lowest of the most likely ones, as
  /// argmax() has it. Instead of logits, if a sequence wants no more and the model finds them sooner itself.
  std::span<const token_id> choices = {};
};

/// Is told the outputs of batch[first], batch[first + 1], ...; they are gone after the call.
using output_reader = std::function<void(std::size_t first, std::span<const row_outputs> outputs)>;

/// A target or draft model with its own KV pool. One thread calls `forward` at a time.
///
/// Invariant (batch invariance): the logits of a row are bit-identical whatever other sequences share the
/// batch, however the earlier positions were split into calls, and whether it is of a chain or a tree.
class language_model {
public:
  virtual ~language_model() = default;
  virtual int vocabulary_size() const = 0;
  virtual int context_length() const = 0;
  virtual int n_pages() const = 0;
  virtual std::size_t weights_bytes() const { return 0; }
  /// Identifies weights and format; equal fingerprints give equal logits on one machine.
  virtual const std::string& fingerprint() const = 0;
  /// `logits` is (sum of n_logit_rows, vocabulary_size), row-major, in batch order.
  virtual void forward(std::span<const sequence_rows> batch, std::span<float> logits) = 0;
  /// The same for `read`, of some sequences after the others. What a model overrides this for is memory, room
  /// for some sequences' logits instead of all, and what need not leave a device.
  virtual void forward_each(std::span<const sequence_rows> batch, const output_reader& read);
  /// Calls task(part) for each part in [0, n_parts), on the threads that compute, and waits for all; from
  /// within `read`, too. A task does not throw.
  virtual void share_out(int n_parts, const std::function<void(int part)>& task);
  /// Gives back the memory that only steps need; the next one makes it again.
  virtual void rest() {}
  /// In the pages of the last call's sequence `sequence`, whose rows were a tree, the keys and values of the
  /// path to `row` replace those of the path that is there. What is after its end is void.
  virtual void keep(std::size_t sequence, int row) = 0;
  /// Carries out the turns in order.
  virtual void turn(std::span<const page_turn> turns) = 0;

  /// A page that one model saves can be loaded by every model with an equal page_format, in another process,
  /// too: it then has, bit by bit, what that model itself would have computed. Called as `forward` is.
  virtual const std::string& page_format() const = 0;
  virtual std::size_t page_bytes() const = 0;
  /// `bytes` is (page_bytes,).
  virtual void save_page(page_id page, std::span<std::byte> bytes) const = 0;
  virtual void load_page(page_id page, std::span<const std::byte> bytes) = 0;
};

} // namespace souffleur
