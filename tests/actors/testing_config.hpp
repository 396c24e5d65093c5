// An actor system in which nothing runs by itself: the test says who handles its next message.
#pragma once

#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>

namespace souffleur::testing {

struct testing_config : caf::actor_system_config {
  testing_config() { set("scheduler.policy", caf::atom("testing")); }
};

} // namespace souffleur::testing
