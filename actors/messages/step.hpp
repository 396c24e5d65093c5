// The conversation between scheduler and verifier: one message each way per step, whatever the batch.
#pragma once

#include "engine/grammar/token_grammar.hpp"
#include "engine/kv/page_shipment.hpp"
#include "engine/language_model.hpp"
#include "engine/sampler.hpp"
#include "engine/sampling_params.hpp"
#include "policies/token.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souffleur {

/// The rows of one sequence in a step. Holds everything that sampling needs, so the verifier keeps no
/// sequence state and can be replaced between two steps.
struct planned_sequence {
  sequence_id id = 0;
  std::vector<page_id> pages;
  int first_position = 0;
  int n_dropped = 0;            ///< positions that `pages` leaves out
  std::vector<page_turn> turns; ///< to be made before
  std::vector<token_id> tokens; ///< committed tokens not yet in KV, then the draft
  int n_draft = 0;              ///< how many of `tokens`, at the end, are drafted
  /// (n_draft,): which drafted token each follows; -1: the last committed one. Empty: a chain.
  std::vector<int> draft_parents;
  bool samples = true;    ///< false for a prefill chunk that does not reach the last committed token
  int n_output = 0;       ///< tokens sampled so far
  int n_successors = 0;   ///< likely tokens to be told of each row that is judged
  std::string acceptance; ///< name of the acceptance_policy
  std::shared_ptr<const sampling_params> sampling;
  std::shared_ptr<const token_counts> counts;     ///< of the committed tokens; null without penalties
  std::optional<grammar::grammar_cursor> grammar; ///< behind the committed output; none: anything goes
};

/// A page whose keys and values were stored earlier.
struct page_load {
  page_id page = 0;
  page_bytes_ptr bytes;
};

/// A page whose keys and values are to be stored.
struct page_save {
  page_id page = 0;
  page_claim_ptr claim;
  page_shipment_ptr ships_to{}; ///< to another process; null: the tier here stores it
};

struct step_plan {
  std::uint64_t step = 0;
  std::vector<page_load> loads;            ///< to be made before anything else
  std::vector<planned_sequence> sequences; ///< may be empty if there are loads or saves
  std::vector<page_save> saves;            ///< of pages that the step does not write
};

struct sequence_outcome {
  sequence_id id = 0;
  std::vector<token_id> tokens;             ///< sampled in this step; empty if the sequence did not sample
  int n_accepted = 0;                       ///< how many of `tokens`, at the front, were drafted
  std::vector<int> rows;                    ///< of the verification_tree, those that gave `tokens`, from 0 on
  std::vector<token_logprobs> logprobs;     ///< one per token, if asked for
  std::vector<token_successors> successors; ///< of each row that was judged, if asked for
  bool grammar_failed = false; ///< to find what its grammar allows took too much effort: no token counts
};

struct saved_page {
  page_claim_ptr claim;
  page_bytes_ptr bytes;
  page_shipment_ptr ships_to{}; ///< as in page_save
};

struct step_result {
  std::uint64_t step = 0;
  std::vector<sequence_outcome> outcomes; ///< in the plan's order
  std::vector<saved_page> saved;          ///< in the plan's order
  double forward_us = 0;
  double sampling_us = 0;
};

using step_plan_ptr = std::shared_ptr<const step_plan>;
using step_result_ptr = std::shared_ptr<const step_result>;

} // namespace souffleur
