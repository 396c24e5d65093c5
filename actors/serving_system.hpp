// The whole ensemble behind one plain interface: what the server's main and an embedding program start.
#pragma once

#include "actors/memory_plan.hpp"
#include "actors/messages/embedding.hpp"
#include "actors/messages/generation.hpp"
#include "actors/messages/observation.hpp"
#include "actors/serving_config.hpp"
#include "engine/cache/answer_store.hpp"
#include "engine/chat_template.hpp"
#include "engine/drafting/model_drafter.hpp"
#include "engine/embedding/text_embedder.hpp"
#include "engine/language_model.hpp"
#include "engine/result.hpp"
#include "engine/tokenizer.hpp"
#include "policies/calibration.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace souffleur {

/// What has to be loaded before the actors can start.
struct loaded_model {
  std::shared_ptr<language_model> model;
  std::shared_ptr<const tokenizer> vocabulary;
  std::shared_ptr<const chat_template> chat;
  std::vector<memory_part> memory{}; ///< for the metrics; may be empty
  draft_model_parts draft_model{};
  std::shared_ptr<text_embedder> embedder{}; ///< null: nothing is embedded
  std::shared_ptr<answer_store> store{};     ///< of the response cache; null: it is in memory only
  cache_calibration calibration{};           ///< for its `bounded` policy
};

/// Why `part` died, and after how long there is another one. `is_left_out`: it died too often, so it takes a
/// long time.
using death_listener = std::function<void(const std::string& part, const std::string& why,
                                          std::chrono::milliseconds pause, bool is_left_out)>;

/// A running ensemble, with an actor system of its own unless start_serving_in() gave it another one.
/// Destruction stops it.
class serving_system : public generation_service,
                       public embedding_service,
                       public observation_service,
                       public fault_service {
public:
  /// Fails on a number that cannot work and on an unknown policy name, which the error spells out together
  /// with the known ones. `on_give_up` is called from an actor's thread when an actor without which nothing
  /// works has used up its restarts, `on_death` when another one takes its place.
  static result<std::unique_ptr<serving_system>> start(const serving_config& config, loaded_model loaded,
                                                       std::function<void(const std::string&)> on_give_up,
                                                       const death_listener& on_death = {});
  /// From now on new requests are refused, and ready() is false; what runs goes on.
  virtual void drain() = 0;
  /// Ends every generation with an error and waits until all of Souffleur's actors have ended; whatever is
  /// asked afterwards fails with 503. The second call does nothing. Not to be called by an actor of the same
  /// system, which would wait for its own thread.
  virtual void stop() = 0;
  /// Requests that have not had their last event.
  virtual int in_flight() const = 0;
};

} // namespace souffleur
