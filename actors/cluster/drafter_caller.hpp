// The actor of a server that finds its drafter, and speaks with it. Include this only in .cpp files.
#pragma once

#include "actors/cluster/called_peer.hpp"
#include "actors/cluster/drafter_link.hpp"

#include <mutex>

namespace souffleur {

/// Who is told what the caller hears. Thread-safe; outlives the caller.
class drafter_board {
public:
  void listen(drafter_listener listener);
  void tell(drafter_news news);
  void close();

private:
  std::mutex mutex_; ///< held while the listener is called, so that news keep their order
  drafter_listener listener_;
  std::optional<drafter_joined> there_;
};

/// Of what is to be drafted for.
struct drafted_model {
  std::string name;
  std::shared_ptr<const tokenizer> vocabulary;
  bool races = false;
};

/// From the link to its caller.
struct outgoing_order {
  draft_order order;
};

struct drafter_caller_state {
  cluster_config config;
  std::string address;
  drafted_model target;
  std::shared_ptr<drafter_board> board;
  caf::io::middleman_actor connector;

  called_peer drafter{std::chrono::seconds{5}};
  std::optional<steady_time> ordered_at; ///< nothing: all orders are answered
  std::uint64_t n_ordered = 0;
};
/// `connector` makes connections, as the middleman's actor does.
caf::behavior drafter_caller(caf::stateful_actor<drafter_caller_state>* self, const cluster_config& config,
                             const std::string& address, const drafted_model& target,
                             std::shared_ptr<drafter_board> board, const caf::io::middleman_actor& connector);

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::outgoing_order)
