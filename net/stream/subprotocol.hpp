// Which of the conversations that a client offers is spoken.
#pragma once

#include "actors/messages/generation.hpp"

#include <optional>
#include <string_view>

namespace souffleur {

/// Of the value of Sec-WebSocket-Protocol: "souffleur.v1"; empty if the client offers none, for which that is
/// understood; nothing if it offers only others. An offered API key is no conversation.
std::optional<std::string_view> choose_subprotocol(std::string_view offers);

/// For who offers only others.
generation_failed unknown_subprotocol(std::string_view offers);

} // namespace souffleur
