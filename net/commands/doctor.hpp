// `souffleur doctor …`: looks at whatever serving will need, and says what to do.
#pragma once

namespace souffleur {

/// Returns the exit code.
int run_doctor(int argc, const char* const* argv);

} // namespace souffleur
