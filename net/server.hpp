// The server's sockets: HTTP, server-sent events and WebSocket in front of a generation_service and an
// embedding_service.
#pragma once

#include "actors/messages/embedding.hpp"
#include "actors/messages/generation.hpp"
#include "actors/messages/observation.hpp"
#include "engine/result.hpp"
#include "net/api_keys.hpp"
#include "net/stream/limits.hpp"
#include "policies/tenant_limits.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace souffleur {

/// Who may ask, and how much. Keys' files may say otherwise for their tenants.
struct server_access {
  std::shared_ptr<const api_keys> keys; ///< null: everybody may ask, and a tenant is an Authorization header
  tenant_limits limits;                 ///< of each tenant
};

struct server_options {
  std::string address = "127.0.0.1"; ///< an IP address, or "unix:PATH" of a socket that is made
  std::uint16_t port = 8080;         ///< 0: any free one
  std::size_t max_body_bytes = 8 << 20;
  std::size_t max_header_bytes = 16 << 10; ///< of a request
  int max_connections = 1024;
  int max_connections_per_address = 0; ///< of those; an IPv6 address is its /64 network; 0: no limit
  std::size_t max_held_tokens =
      65536;                   ///< made but not taken by the client, per connection; past it, it is cut off
  stream_limits streams;       ///< of WebSocket connections
  int max_frames_per_s = 1000; ///< of a WebSocket connection; more wait in the client's socket
  bool compress = true;        ///< WebSocket frames, for clients that offer it
  bool echo = false;           ///< for tests: a WebSocket at /echo
  bool kills = false;          ///< for tests: POST /souffleur/kill/ACTOR
  server_access access;
  std::string tls_certificate;           ///< PEM file of the chain, the server's own first; empty: no TLS
  std::string tls_key;                   ///< PEM file
  std::chrono::seconds idle_timeout{75}; ///< to a request's first byte, and from its header to its body's end
  std::chrono::seconds header_timeout{10}; ///< from a request's first byte to the end of its header
  std::chrono::seconds write_timeout{30};
};

/// Serves on a thread of its own from start to destruction.
class server {
public:
  /// The services must outlive the server; the last three may be null. Fails if the address cannot be bound.
  static result<std::unique_ptr<server>> start(const server_options& options, generation_service& service,
                                               embedding_service* embedding = nullptr,
                                               const observation_service* observation = nullptr,
                                               fault_service* faults = nullptr);
  virtual ~server() = default;
  virtual std::uint16_t port() const = 0; ///< 0: it has a Unix socket
  /// From the next request on; what runs goes on.
  virtual void change_access(server_access access) = 0;
  /// Takes no more connections, ends the running generations, closes every connection; returns when that is
  /// done.
  virtual void stop() = 0;
};

} // namespace souffleur
