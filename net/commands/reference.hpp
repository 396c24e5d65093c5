// The program's options, as others read them: shells and man.
#pragma once

namespace souffleur {

/// `souffleur completion bash|zsh|fish`. Returns the exit code.
int run_completion(int argc, const char* const* argv);
/// `souffleur man`: roff.
int run_man(int argc, const char* const* argv);

} // namespace souffleur
