// A thread that answers sockets beside threads that compute.
#pragma once

namespace souffleur {

/// Lets the calling thread run as soon as it has something to do, and others on after a tenth of a
/// millisecond: Linux lets who has shorter slices interrupt who has longer ones (EEVDF, since 6.12). Else a
/// thread that wakes while all cores compute may wait for some milliseconds. Where the system knows no such
/// wish, nothing happens.
void ask_for_short_slices();

} // namespace souffleur
