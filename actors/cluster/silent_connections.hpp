// Connections whose other end has become silent without a word: a cable that is out, a machine that is off.
#pragma once

#include <chrono>
#include <cstdint>

namespace souffleur {

/// From now on the kernel closes a connection if nothing that was sent through it is acknowledged for
/// `silence`; by itself it would try for a quarter of an hour, and CAF takes a node that it is connected with
/// for there. Concerns the TCP sockets of this process that have `port` at either end, and what they accept
/// later. CAF 0.17 does not give its sockets away, so they are found among the open files; where those cannot
/// be listed, nothing changes.
void end_silent_connections(std::uint16_t port, std::chrono::milliseconds silence);

} // namespace souffleur
