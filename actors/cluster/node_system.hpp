// The actor system of a node's connections. It has no other actors than those that speak with other nodes:
// whoever is connected can reach any actor of the system, so what serves is in another one. Include this only
// in .cpp files of this folder.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/drafter_wire.hpp"
#include "actors/cluster/silent_connections.hpp"
#include "actors/cluster/wire.hpp"
#include "engine/result.hpp"

#include <caf/io/all.hpp>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>

namespace souffleur {

struct node_configuration : caf::actor_system_config {
  explicit node_configuration(const cluster_config& config);
};

struct node_system {
  explicit node_system(const cluster_config& config) : configuration(config), system(configuration) {}

  node_configuration configuration;
  caf::actor_system system;
};

/// Who can be reached from outside now, at the configured address; the port. Fails if it cannot be bound.
result<std::uint16_t> publish(caf::actor_system& system, const caf::actor& gate,
                              const cluster_config& config);

/// Whom to ask for connections.
caf::io::middleman_actor connector_of(caf::actor_system& system, const cluster_config& config);

/// Looks for who is published at `address`, HOST:PORT: `found(caf::actor)` or `lost(std::string why)` is
/// called later, as by a handler of `self`. A connection that is silent for `silence` ends.
template <class Self, class Found, class Lost>
void look_up(Self* self, const caf::io::middleman_actor& connector, const std::string& address,
             std::chrono::milliseconds silence, Found found, Lost lost) {
  constexpr std::chrono::seconds connect_timeout{5};
  const auto colon = address.rfind(':');
  const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
  compat::request(self, connector, connect_timeout, caf::connect_atom::value, address.substr(0, colon), port)
      .then(
          [=](const caf::node_id&, caf::strong_actor_ptr& there, const std::set<std::string>&) {
            end_silent_connections(port, silence);
            if (there)
              found(caf::actor_cast<caf::actor>(there));
            else
              lost("nobody is at that port");
          },
          [=](const caf::error& why) { lost(self->system().render(why)); });
}

} // namespace souffleur
