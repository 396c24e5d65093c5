// Activation functions of gated feed-forward layers.
#pragma once

#include <cstdint>

namespace souffleur {

enum class activation : std::uint8_t {
  silu,     ///< z * sigmoid(z)
  gelu_tanh ///< z * Φ(z) by Hendrycks and Gimpel's (2016) approximation with tanh
};

} // namespace souffleur
