// What every WebSocket of the server is set to.
#pragma once

#include "net/connection.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket.hpp>

#include <string>

namespace souffleur {

using websocket_socket = beast::websocket::stream<client_stream>;

/// A small delta takes longer to deflate than to send.
constexpr std::size_t least_compressed_bytes = 512;

/// Of messages that have `least_bytes`. The windows are small, since each connection keeps its own once it
/// has used them.
inline beast::websocket::permessage_deflate compression(bool enabled, std::size_t least_bytes) {
  beast::websocket::permessage_deflate how;
  how.server_enable = enabled;
  how.server_max_window_bits = 12;
  how.client_max_window_bits = 12;
  how.compLevel = 3;
  how.memLevel = 4;
  how.msg_size_threshold = least_bytes;
  return how;
}

/// To be called before the handshake is answered. `subprotocol`: the chosen one, or empty.
inline void set_up(websocket_socket& socket, const server_options& options, const std::string& subprotocol,
                   std::size_t least_compressed = least_compressed_bytes) {
  beast::get_lowest_layer(socket).expires_never(); // the WebSocket has timeouts of its own
  auto timeouts = beast::websocket::stream_base::timeout::suggested(beast::role_type::server);
  timeouts.idle_timeout = options.idle_timeout;
  socket.set_option(timeouts);
  socket.set_option(compression(options.compress, least_compressed));
  socket.read_message_max(options.max_body_bytes);
  socket.set_option(
      beast::websocket::stream_base::decorator([subprotocol](beast::websocket::response_type& response) {
        response.set(beast::http::field::server, "souffleur");
        if (!subprotocol.empty())
          response.set(beast::http::field::sec_websocket_protocol, subprotocol);
      }));
}

} // namespace souffleur
