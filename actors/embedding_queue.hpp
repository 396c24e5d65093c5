// The embedder's core: whose texts are embedded next.
#pragma once

#include "actors/embedding_reply.hpp"
#include "actors/messages/admission.hpp"
#include "actors/messages/embedding.hpp"
#include "engine/embedding/text_embedder.hpp"

#include <deque>
#include <memory>

namespace souffleur {

/// Texts wait here as ids. Demands take turns, a text each, so that a long one does not hold up a short one
/// for more than a round; a round is as many texts as the encoder takes at once.
class embedding_queue {
public:
  explicit embedding_queue(std::shared_ptr<text_embedder> embedder) : embedder_(std::move(embedder)) {}

  void add(const embedding_demand& demand);
  bool empty() const { return waiting_.empty(); }
  /// Embeds texts of at most embedding_block_rows ids in all (one text at least), answers the demands that
  /// are complete, fails those whose time is over, and forgets those whose client is gone.
  embedding_report run_round(steady_time now);

private:
  struct ticket {
    steady_time deadline;
    std::weak_ptr<const void> client;
    std::shared_ptr<embedding_reply> reply;
    std::vector<wordpieces> texts;
    embeddings answer;
    std::size_t n_taken = 0; ///< texts that have had their turn
  };
  using ticket_ptr = std::shared_ptr<ticket>;
  struct turn {
    ticket_ptr whose;
    std::size_t text = 0;
  };

  std::vector<turn> next_turns(steady_time now);
  static bool is_wanted(const ticket& waiting, steady_time now);

  std::shared_ptr<text_embedder> embedder_;
  std::deque<ticket_ptr> waiting_; ///< with texts that have not had their turn; the front is next
};

} // namespace souffleur
