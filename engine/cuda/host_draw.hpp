// The reference of backend::draw(): a row after the other, sorted.
#pragma once

#include "engine/token_draw.hpp"

#include <cstdint>
#include <span>

namespace souffleur::cuda {

/// Of a row whose most likely token is `choice`.
std::int32_t drawn_token(std::span<const float> logits, std::int32_t choice, const token_draw& draw);

} // namespace souffleur::cuda
