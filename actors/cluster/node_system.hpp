// The actor system of a node's connections. It has no other actors than those that speak with other nodes:
// whoever is connected can reach any actor of the system, so what serves is in another one. Include this only
// in .cpp files of this folder.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/wire.hpp"
#include "actors/hosted_serving.hpp"

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>

namespace souffleur {

struct node_configuration : caf::actor_system_config {
  explicit node_configuration(const cluster_config& config) {
    set_serving_defaults(*this);
    add_message_types<caf::id_block::souffleur_cluster>();
    load<caf::io::middleman>();
    set("middleman.heartbeat-interval", caf::timespan{config.heartbeat});
    if (config.has_tls()) {
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

} // namespace souffleur
