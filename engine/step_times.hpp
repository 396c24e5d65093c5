// How long this model's steps take on this machine.
#pragma once

#include "engine/language_model.hpp"
#include "policies/step_cost.hpp"

#include <vector>

namespace souffleur {

/// Times steps of 1 to 32 rows of one sequence, all with logits; about 30 steps of one row in all. Overwrites
/// the first pages, so nobody may use the model meanwhile.
std::vector<step_time> measure_steps(language_model& model);

} // namespace souffleur
