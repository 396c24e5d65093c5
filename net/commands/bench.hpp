// `souffleur bench …`: how fast a model answers here, through the actors that serve it.
#pragma once

namespace souffleur {

/// Returns the exit code.
int run_bench(int argc, const char* const* argv);

} // namespace souffleur
