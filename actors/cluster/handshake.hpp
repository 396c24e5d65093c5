// How two nodes show each other that they know the secret, without saying it.
#pragma once

#include <string>
#include <string_view>

namespace souffleur {

/// Each side makes a nonce; a proof is BLAKE2b, keyed with the secret, over both nonces and the side that
/// proves. So a proof is of no use in another conversation, nor for the other side. It says nothing of what
/// is sent afterwards: who can change what is on the wire needs TLS to be kept out.
enum class node_side { router, worker, drafter, server };

/// 32 bytes from the system's source of randomness.
std::string make_nonce();
/// The caller's nonce (a worker's, a server's), then that of who is called.
std::string make_proof(std::string_view secret, node_side side, std::string_view caller_nonce,
                       std::string_view called_nonce);
/// In a time that does not depend on where they differ.
bool is_same_proof(std::string_view a, std::string_view b);

} // namespace souffleur
