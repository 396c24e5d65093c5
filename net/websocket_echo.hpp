// A WebSocket that says back what it hears: for tests of the protocol below the conversation.
#pragma once

#include "net/connection.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace souffleur {

/// Takes over a connection whose upgrade request was read.
asio::awaitable<void> serve_echo(client_stream stream, beast::http::request<beast::http::string_body> upgrade,
                                 context_ptr context);

} // namespace souffleur
