// `souffleur serve …`: settings, model, actors, sockets, and an orderly end.
#pragma once

namespace souffleur {

/// Returns the exit code.
int run_serve(int argc, const char* const* argv);

} // namespace souffleur
