// The page at /: a prompt box that talks over the WebSocket.
#pragma once

#include <string_view>

namespace souffleur {

std::string_view page_html();

} // namespace souffleur
