// Demands and offers of this process as messages for another one, and back.
#pragma once

#include "actors/messages/draft.hpp"
#include "actors/messages/remote_draft.hpp"
#include "engine/result.hpp"

#include <optional>

namespace souffleur {

/// Without what is only for people or for other drafters: stop strings, and who the tenants are.
draft_order order_of(const draft_demand& demand);
/// Fails on an order that no scheduler gives. Of `starts_over` it says nothing.
result<draft_demand> demand_of(const draft_order& order);

/// REQUIRES: of a draft model, so there is at most one draft a proposal, and that is a chain.
drafted_batch batch_of(const draft_offer& offer);
/// Nothing if that cannot be the answer to `demand`: whoever sent it is not to be believed.
std::optional<draft_offer> offer_of(const drafted_batch& batch, const draft_demand& demand,
                                    int vocabulary_size);

} // namespace souffleur
