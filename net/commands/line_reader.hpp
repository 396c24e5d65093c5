// Lines that a person types, while the program goes on with other things.
#pragma once

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>

namespace souffleur {

/// The next line of the standard input; nothing at its end. A thread of its own waits for it, because a
/// terminal cannot be waited for in all the ways that a socket can.
boost::asio::awaitable<std::optional<std::string>> read_line();

} // namespace souffleur
