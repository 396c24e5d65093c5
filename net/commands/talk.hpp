// `souffleur chat` and `souffleur complete`: a server's answers in the terminal, as they come.
#pragma once

namespace souffleur {

/// Each returns the exit code.
int run_chat(int argc, const char* const* argv);
int run_complete(int argc, const char* const* argv);

} // namespace souffleur
