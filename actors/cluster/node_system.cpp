#include "actors/cluster/node_system.hpp"

#include "actors/hosted_serving.hpp"

#include <caf/openssl/all.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace souffleur {

namespace {

/// CAF 0.17 leaves the errors of a connection that fails in its thread's list, where they pass for the next
/// one's: a stranger's failed handshake would break everybody's connection. OpenSSL calls this when it is
/// freed.
void keep_errors_apart() {
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, nullptr,
                           [](void*, void*, CRYPTO_EX_DATA*, int, long, void*) { ERR_clear_error(); });
  static_cast<void>(index);
}

} // namespace

node_configuration::node_configuration(const cluster_config& config) {
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

result<std::uint16_t> publish(caf::actor_system& system, const caf::actor& gate,
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

caf::io::middleman_actor connector_of(caf::actor_system& system, const cluster_config& config) {
  return !config.has_tls() ? system.middleman().actor_handle() : system.openssl_manager().actor_handle();
}

} // namespace souffleur
