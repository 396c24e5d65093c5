// The actor system of a node's connections. It has no other actors than those that speak with other nodes:
// whoever is connected can reach any actor of the system, so what serves is in another one. Include this only
// in .cpp files of this folder.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/drafter_wire.hpp"
#include "actors/cluster/wire.hpp"
#include "actors/hosted_serving.hpp"

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

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

} // namespace souffleur
