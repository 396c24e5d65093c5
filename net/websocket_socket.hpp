// What every WebSocket of the server is set to.
#pragma once

#include "net/connection.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket.hpp>

#include <string>

namespace souffleur {

using websocket_socket = beast::websocket::stream<client_stream>;

/// Small windows: frames of text repeat what stands in the frames before them, and each connection that sends
/// has its own.
inline beast::websocket::permessage_deflate compression(bool enabled) {
  beast::websocket::permessage_deflate how;
  how.server_enable = enabled;
  how.server_max_window_bits = 12;
  how.client_max_window_bits = 12;
  how.compLevel = 3;
  how.memLevel = 4;
  return how;
}

/// To be called before the handshake is answered. `subprotocol`: the chosen one, or empty.
inline void set_up(websocket_socket& socket, const server_options& options, const std::string& subprotocol) {
  beast::get_lowest_layer(socket).expires_never(); // the WebSocket has timeouts of its own
  auto timeouts = beast::websocket::stream_base::timeout::suggested(beast::role_type::server);
  timeouts.idle_timeout = options.idle_timeout;
  socket.set_option(timeouts);
  socket.set_option(compression(options.compress));
  socket.read_message_max(options.max_body_bytes);
  socket.set_option(
      beast::websocket::stream_base::decorator([subprotocol](beast::websocket::response_type& response) {
        response.set(beast::http::field::server, "souffleur");
        if (!subprotocol.empty())
          response.set(beast::http::field::sec_websocket_protocol, subprotocol);
      }));
}

} // namespace souffleur
