// A generation as an actor, for actors that consume it: it sends what was made, as far as they have granted
// room.
#pragma once

#include "actors/caf_compat.hpp"
#include "actors/messages/generation.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace souffleur {

/// From the source to its consumer.
struct generation_update {
  request_id id = 0;
  generation_event event;
};

/// From the consumer to the source.
struct token_grant {
  std::int64_t n_tokens = 0;
};
struct generation_stop {};

/// From Souffleur to the source.
using generation_event_ptr = std::shared_ptr<const generation_event>;

/// Ends after the last update. A consumer that dies ends its generation.
using generation_source = caf::typed_actor<compat::rpc<void(token_grant)>, compat::rpc<void(generation_stop)>,
                                           compat::rpc<void(generation_event_ptr)>>;

/// Its updates have the id.
struct generation_handle {
  request_id id = 0;
  generation_source source;
};

/// Submits `request`, whose id is chosen here, and sends generation_update messages to `consumer`: of its
/// tokens `n_granted` at first, then as many as are granted; without `n_granted`, all as they come. A slow
/// consumer does not slow the engine down: what was not granted waits in the source, max_tokens at most.
generation_handle spawn_generation(caf::actor_system& system, std::weak_ptr<generation_service> service,
                                   generation_request request, caf::actor consumer,
                                   std::optional<std::int64_t> n_granted);

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::generation_update)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::token_grant)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::generation_stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::generation_event_ptr)
