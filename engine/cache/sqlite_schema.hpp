// The tables of the SQLite store, and how older files get them.
#pragma once

#include "engine/cache/sqlite_database.hpp"

#include <optional>
#include <string>

namespace souffleur {

/// The number of the newest format.
int newest_sqlite_schema();

/// Makes the tables, or brings those of an older format up to date. Why not, if that cannot be done; then the
/// file is as it was.
std::optional<std::string> prepare_sqlite_schema(sqlite_database& database);

} // namespace souffleur
