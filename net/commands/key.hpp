// `souffleur key …`: keys for clients.
#pragma once

namespace souffleur {

/// Returns the exit code.
int run_key(int argc, const char* const* argv);

} // namespace souffleur
