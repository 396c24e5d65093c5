// By how much rope turns the rows of a step.
#pragma once

#include "engine/model/transformer_config.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace souffleur {

/// Cosines and sines of the angles of some positions, which are computed anew for every step: a position may
/// lie far beyond the trained context, and the few that a step has cost less than a table of all.
class rope_angles {
public:
  rope_angles(const rope_config& config, int head_dim);

  /// Row i of both becomes that of `positions[i]`, in double precision before it is rounded.
  void set(std::span<const std::int32_t> positions);

  const at::Tensor& cosines() const { return cosines_; } ///< (n_positions, head_dim / 2)
  const at::Tensor& sines() const { return sines_; }
  const rope_config& config() const { return config_; }

private:
  rope_config config_;
  std::vector<double> frequencies_; ///< (head_dim / 2,), radians per position
  at::Tensor cosines_, sines_;
};

} // namespace souffleur
