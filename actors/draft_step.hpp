// Answers a scheduler's demand with a model_drafter.
#pragma once

#include "actors/messages/draft.hpp"
#include "engine/drafting/model_drafter.hpp"

namespace souffleur {

/// One proposal a wish, in order. The offer's `pass` is left empty.
draft_offer carry_out(const draft_demand& demand, model_drafter& drafter);

} // namespace souffleur
