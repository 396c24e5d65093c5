// One WebSocket connection of the `souffleur.v1` conversation.
#pragma once

#include "net/connection.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>

namespace souffleur {

/// Takes over a connection whose upgrade request was read and came from `tenant`.
asio::awaitable<void> serve_websocket(client_stream stream,
                                      beast::http::request<beast::http::string_body> upgrade,
                                      std::string tenant, context_ptr context);

} // namespace souffleur
