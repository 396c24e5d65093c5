// `souffleur models`: the models that are here.
#pragma once

namespace souffleur {

/// Returns the exit code.
int run_models(int argc, const char* const* argv);

} // namespace souffleur
