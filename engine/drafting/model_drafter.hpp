// Drafts by asking a smaller model.
#pragma once

#include "engine/kv_manager.hpp"
#include "engine/language_model.hpp"
#include "engine/sampling_params.hpp"
#include "policies/draft_tree.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// A model that drafts for another one.
struct draft_model_parts {
  std::shared_ptr<language_model> model; ///< null: nobody drafts so
  int n_shared_vocabulary = 0;           ///< as shared_vocabulary() says
  std::vector<token_id> end_tokens{};
};

/// How the draft model's tokens are drawn where the temperature is not 0: as whoever verifies them draws.
enum class draft_draw {
  most_likely, ///< without a coin
  coupled,     ///< with the position's coin
  gumbel,      ///< with the position's coin of each token
};

struct model_drafter_options {
  int n_catch_up_rows = 64;       ///< of one call, all wishes together, before anything is drafted; > 0
  double least_probability = 0.4; ///< a token is drafted if the draft model's most likely one is likelier
  draft_draw draw = draft_draw::coupled;
};

/// As the scheduler's wish, without what concerns other drafters. Everything that it points to has to last
/// for the call only.
struct model_draft_wish {
  sequence_id id = 0;
  std::string_view salt; ///< namespace whose prefixes it may share
  int offset = 0;        ///< index in the sequence of appended.front()
  std::span<const token_id> appended;
  int n_prompt = 0;
  int n_max = 0;
  const sampling_params* sampling = nullptr; ///< read with a sequence's first wish
};

/// What a call took.
struct drafting_effort {
  int n_passes = 0;        ///< of the model
  int n_catch_up_rows = 0; ///< in the first of them
};

struct model_draft {
  draft_tree draft; ///< a chain, perhaps empty; probabilities are those of the most likely token
  int n_known = 0;  ///< tokens of the sequence that the drafter has now
  int n_behind = 0; ///< those of them that the model has yet to compute before it can draft
};

/// A language model with its own KV pool, and what it has computed of each sequence. Plain object; one thread
/// calls it.
///
/// Invariant: whatever stood, was rejected, skipped or evicted before, a draft is what the model says of the
/// exact text. Keys and values of drafted tokens that stood are kept, those of others are overwritten before
/// anything sees them, and only committed text is published.
///
/// While somebody verifies its drafts it may go on with what follows if all of them stand (PEARL, arXiv
/// 2408.11850, without its early verification): the next drafts are the same, and there sooner.
class model_drafter {
public:
  /// Ids from `n_shared_vocabulary` on are never drafted; `ends` end a text.
  model_drafter(std::shared_ptr<language_model> model, int n_shared_vocabulary, std::vector<token_id> ends,
                std::unique_ptr<eviction_policy> eviction, const model_drafter_options& options = {});
  ~model_drafter();

  /// One draft a wish, in order. A sequence has none as long as it is not caught up with, while there are no
  /// pages for it, where its text does not fit the model, and if tokens before `offset` are missing. Who
  /// needs fewest rows is served first. REQUIRES: no sequence has two wishes, and all of one sequence have
  /// equal salts and sampling.
  std::vector<model_draft> propose(std::span<const model_draft_wish> wishes);
  /// One pass of the model over what may be asked next by those that were asked about last. False if there is
  /// nothing more to foresee: another draft of the same length behind this one.
  bool look_ahead();
  const drafting_effort& last_effort() const { return effort_; }
  void end(sequence_id id);

  std::size_t size() const { return known_.size(); }
  kv_occupancy occupancy() const { return kv_.occupancy(); }
  std::string check_integrity() const { return kv_.check_integrity(); }

private:
  struct known_sequence;
  struct drafting;

  /// Computes what is missing, then goes on until nobody lacks a token. Of those that still lack some of
  /// their text: how much.
  std::unordered_map<sequence_id, int> foresee(std::vector<drafting> all);
  /// One pass: who may go on stays in `all`.
  void extend(std::vector<drafting>& all);
  /// False if tokens before the wish's are missing.
  bool append(const model_draft_wish& wish, known_sequence& who);
  bool can_read(const known_sequence& who) const;
  /// Gives it pages for its text and the draft; false, and it holds none, if there are none for it.
  bool open(const model_draft_wish& wish, known_sequence& who);
  bool reserve(sequence_id id, int n_tokens);
  std::unordered_map<sequence_id, int> catch_up(std::vector<drafting>& all);
  /// Takes a token from its logits; false if that is enough.
  bool take(drafting& one, std::span<const float> logits);
  void publish(const drafting& one);

  std::shared_ptr<language_model> model_;
  int n_shared_vocabulary_;
  std::vector<token_id> ends_;
  model_drafter_options options_;
  kv_manager kv_;
  std::unordered_map<sequence_id, known_sequence> known_;
  std::vector<sequence_id> asked_; ///< about, by the last call; while it is known each has its pages
  std::uint64_t n_calls_ = 0;
  drafting_effort effort_;
  std::vector<float> logits_;
  std::vector<float> scratch_;
};

} // namespace souffleur
