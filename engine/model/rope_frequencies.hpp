// How fast rope turns each pair of a head.
#pragma once

#include "engine/model/transformer_config.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

namespace souffleur {

/// (head_dim / 2,), radians per position. Source: Su et al. 2021.
inline std::vector<double> rope_frequencies(const rope_config& config, int head_dim) {
  std::vector<double> frequencies(static_cast<std::size_t>(head_dim) / 2);
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] = std::pow(config.base, -2.0 * static_cast<double>(i) / head_dim) / config.position_scale;
  return frequencies;
}

} // namespace souffleur
