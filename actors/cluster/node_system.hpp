// The actor system of a node's connections. It has no other actors than those that speak with other nodes:
// whoever is connected can reach any actor of the system, so what serves is in another one. Include this only
// in .cpp files of this folder.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/drafter_wire.hpp"
#include "actors/cluster/silent_connections.hpp"
#include "actors/cluster/wire.hpp"
#include "actors/hosted_serving.hpp"
#include "engine/result.hpp"

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>

namespace souffleur {

/// CAF 0.17 leaves the errors of a connection that fails in its thread's list, where they pass for the next
/// one's: a stranger's failed handshake would break everybody's connection. OpenSSL calls this when it is
/// freed.
inline void keep_errors_apart() {
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, nullptr,
                           [](void*, void*, CRYPTO_EX_DATA*, int, long, void*) { ERR_clear_error(); });
  static_cast<void>(index);
}

struct node_configuration : caf::actor_system_config {
  explicit node_configuration(const cluster_config& config) {
    set_serving_defaults(*this);
    add_message_types<caf::id_block::souffleur_cluster>();
    add_message_types<caf::id_block::souffleur_drafting>();
    load<caf::io::middleman>();
    set("middleman.heartbeat-interval", caf::timespan{config.heartbeat});
    if (config.has_tls()) {
      keep_errors_apart();
      load<caf::openssl::manager>();
      openssl_certificate = config.certificate;
      openssl_key = config.key;
      openssl_cafile = config.authority;
    }
  }
};

struct node_system {
  explicit node_system(const cluster_config& config) : configuration(config), system(configuration) {}

  node_configuration configuration;
  caf::actor_system system;
};

/// Who can be reached from outside now, at the configured address; the port. Fails if it cannot be bound.
inline result<std::uint16_t> publish(caf::actor_system& system, const caf::actor& gate,
                                     const cluster_config& config) {
  const char* address = config.address == "0.0.0.0" ? nullptr : config.address.c_str();
  const auto bound = !config.has_tls() ? system.middleman().publish(gate, config.port, address, true)
                                       : caf::openssl::publish(gate, config.port, address, true);
  if (!bound)
    return failure{"cluster.address: " + config.address + ":" + std::to_string(config.port) +
                   " cannot be listened on: " + system.render(bound.error())};
  end_silent_connections(*bound, config.dead_after);
  return *bound;
}

/// Whom to ask for connections.
inline caf::io::middleman_actor connector_of(caf::actor_system& system, const cluster_config& config) {
  return !config.has_tls() ? system.middleman().actor_handle() : system.openssl_manager().actor_handle();
}

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
