#include "net/stream/subprotocol.hpp"

#include "net/api_keys.hpp"
#include "net/stream/frame_forms.hpp"

#include <boost/beast/http/rfc7230.hpp>

namespace souffleur {

std::optional<std::string_view> choose_subprotocol(std::string_view offers) {
  bool offers_others = false;
  for (const auto& offered : boost::beast::http::token_list{{offers.data(), offers.size()}}) {
    const std::string_view name{offered.data(), offered.size()};
    if (name == stream_subprotocol)
      return stream_subprotocol;
    offers_others |= !name.starts_with(key_subprotocol);
  }
  if (offers_others)
    return std::nullopt;
  return "";
}

generation_failed unknown_subprotocol(std::string_view offers) {
  return {400, "unsupported_subprotocol",
          "This server speaks " + std::string{stream_subprotocol} +
              ", and the client offers only: " + std::string{offers} + ".",
          "Sec-WebSocket-Protocol", 0};
}

} // namespace souffleur
