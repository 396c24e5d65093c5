// A prepared request on its way to another process, and what becomes of it there.
#pragma once

#include "actors/messages/admission.hpp"
#include "actors/messages/cluster.hpp"
#include "actors/request_preparation.hpp"

#include <span>
#include <variant>

namespace souffleur {

/// `delivered`: what the client has got of the answer.
stream_order order_for(const admitted_request& request, std::span<const token_id> delivered,
                       attempt_id attempt, steady_time now);

/// As intake would have prepared it (without reply), or the error that the client gets. Its deltas tell of
/// their steps.
std::variant<admitted_request, generation_failed> admitted_from(const stream_order& order, request_id id,
                                                                const prompt_format& format, steady_time now);

/// The least that makes somebody compute the order's prompt. Without reply and without where it ships to.
admitted_request prefill_request(const prefill_order& order, request_id id, steady_time now);

} // namespace souffleur
