// What a server asks of a drafter in another process, and what it still believes of the answers.
#pragma once

#include "actors/messages/draft.hpp"
#include "actors/messages/remote_draft.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace souffleur {

/// One order at a time. Nobody has to be told what was lost with a drafter: it says of each sequence how much
/// it knows, and is sent the rest.
///
/// Invariant: a sequence that has ended is told so to whoever was asked about it, before the next question.
class remote_drafting {
public:
  /// Of the model that is drafted for.
  explicit remote_drafting(int vocabulary_size) : vocabulary_size_(vocabulary_size) {}

  /// A drafter is there, and knows nothing.
  void joined(std::vector<step_time> passes);
  /// It is gone. True: somebody waits for an answer that will not come.
  bool left();
  bool is_there() const { return is_there_; }

  /// What to send. Unless then awaits_answer(), the demand has its answer now: without_drafts().
  std::optional<draft_order> order_for(const draft_demand_ptr& demand);
  /// False, too, where the drafter has so much to read that it will not draft yet: it reads beside the steps.
  bool awaits_answer() const { return open_ && !is_reading_; }
  /// The order went out under this number.
  void sent(std::uint64_t number, std::chrono::steady_clock::time_point now);
  /// Nothing if nobody waits for that. What it took counts with the way there and back.
  std::optional<draft_offer> answered(const drafted_batch& batch, std::chrono::steady_clock::time_point now);
  /// But with what there is to tell: what a new drafter takes, how far it has read.
  draft_offer without_drafts();

private:
  /// How many tokens of a wish's text the drafter has to compute before it can draft.
  int n_unread(const draft_wish& wish) const;
  void note_reading(const draft_offer& offer);

  int vocabulary_size_;
  bool is_there_ = false;
  bool starts_over_ = true;       ///< the drafter may know sequences that somebody else asked about
  std::vector<step_time> passes_; ///< which nobody has been told yet
  std::vector<draft_ending> ended_;
  draft_demand_ptr open_;   ///< null: there is no order
  bool is_reading_ = false; ///< nobody waits for the answer to that
  std::map<sequence_id, int>
      n_read_; ///< tokens that the drafter has computed; those asked about and not ended
  std::vector<draft_proposal> news_; ///< of reading, which nobody has been told yet
  std::uint64_t number_ = 0;
  std::chrono::steady_clock::time_point sent_at_;
};

} // namespace souffleur
