// `souffleur tokenize …`: a text as tokens.
#pragma once

namespace souffleur {

/// Returns the exit code.
int run_tokenize(int argc, const char* const* argv);

} // namespace souffleur
