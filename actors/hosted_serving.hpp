// Souffleur's actors as a part of a program that has actors, and an actor system, of its own.
#pragma once

#include "actors/serving_system.hpp"

#include <caf/fwd.hpp>

namespace souffleur {

/// As serving_system::start(), but the actors live in `host`, which must outlive what is returned; the host's
/// own actors are left alone. Give those a weak_ptr, and call stop() before the last shared_ptr goes: whoever
/// holds one for a moment may be the last to, and an actor must not be the one that waits.
result<std::unique_ptr<serving_system>> start_serving_in(caf::actor_system& host,
                                                         const serving_config& config, loaded_model loaded,
                                                         std::function<void(const std::string&)> on_give_up,
                                                         const death_listener& on_death = {},
                                                         const trouble_listener& on_trouble = {});

/// For the host's configuration, before its system is made: the scheduling that serves best, and two threads
/// in the pool, as the forward pass has threads of its own.
void set_serving_defaults(caf::actor_system_config& config);

} // namespace souffleur
