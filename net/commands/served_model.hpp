// From settings to what the actors need: models, memory, stored answers.
#pragma once

#include "actors/cluster/drafter_node.hpp"
#include "actors/serving_system.hpp"
#include "engine/result.hpp"
#include "net/command_line.hpp"

namespace souffleur {

/// Says how far it is. Changes in `settings` what the memory budget leaves no room for, and the name of the
/// embedder. The error names the option.
result<loaded_model> load_served_model(server_settings& settings);

/// The draft model alone, with kv.tokens positions or what the memory budget leaves of them.
result<drafter_parts> load_drafter(server_settings& settings);

} // namespace souffleur
