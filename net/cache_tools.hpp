// `souffleur cache …`: what a person does with stored answers, whether a server runs or not.
#pragma once

#include <iosfwd>

namespace souffleur {

/// `argv[0]` is "cache". Returns the exit code: 0, 1 (it failed; `err` has why) or 2 (a wrong option).
int run_cache_tools(int argc, const char* const* argv, std::istream& in, std::ostream& out,
                    std::ostream& err);

} // namespace souffleur
