// Carries out a step's page traffic on a kv_manager.
#pragma once

#include "actors/messages/kv.hpp"

namespace souffleur {

/// Publications, endings, reservations, openings, questions, in this order. Ids that are not live are skipped
/// or refused.
kv_supply carry_out(const kv_demand& demand, kv_manager& kv);

} // namespace souffleur
