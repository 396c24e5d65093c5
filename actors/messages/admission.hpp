// From intake to scheduler: a request that passed every check and is ready to run.
#pragma once

#include "actors/messages/generation.hpp"
#include "actors/messages/response_cache.hpp"
#include "actors/reply_handle.hpp"
#include "actors/shared_deadline.hpp"
#include "engine/grammar/token_grammar.hpp"
#include "engine/kv/page_shipment.hpp"
#include "policies/retention.hpp"
#include "policies/thought.hpp"
#include "policies/window_policy.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souffleur {

using steady_time = std::chrono::steady_clock::time_point;

/// A generation that several requests may share has an id of its own: that of the first of them with this
/// bit.
inline constexpr request_id flight_bit = request_id{1} << 63;
constexpr request_id first_asked_by(request_id generation) { return generation & ~flight_bit; }

struct admitted_request {
  request_id id = 0;
  std::string tenant;
  std::vector<token_id> prompt;
  /// Of the answer, what the client has got from somebody who could not go on: it goes on with the next
  /// token.
  std::vector<token_id> delivered;
  std::uint64_t conversation = 0; ///< equal for requests that belong together
  std::shared_ptr<const sampling_params> sampling;
  /// With the acceptance policy that is in force; `enabled` only if anybody drafts for it.
  speculation_options speculation;
  bool is_lossy = false;                           ///< its acceptance policy may change what is said
  std::vector<token_id> prediction;                ///< what the client expects to be answered
  std::shared_ptr<grammar::token_grammar> grammar; ///< that the answer has to fit; null: none
  std::optional<grammar::output_grammar> output;   ///< what it was compiled from
  std::shared_ptr<const thought_marks> thoughts;   ///< null: the model does not think, or may not
  std::string window_policy = "full";
  window_limits window; ///< its limits
  retention_wish retention{};
  int priority = 0;
  int most_tokens = 0; ///< that an amendment may let it have
  bool trace = false;
  steady_time arrival;
  shared_deadline deadline;
  steady_time prepared{};       ///< its prompt was tokenised
  steady_time looked_up{};      ///< the response cache had answered; never, if it was not asked
  double similarity = 0;        ///< of the nearest stored question
  cache_terms_ptr cached;       ///< null: it has nothing to do with the response cache
  page_shipment_ptr ships_to{}; ///< where the keys and values of its prompt go; null: they stay here
  std::shared_ptr<reply_handle> reply;
};

struct cancellation {
  request_id id = 0;
};

struct amendment {
  request_id id = 0;
  generation_change change;
};

} // namespace souffleur
