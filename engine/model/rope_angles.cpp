#include "engine/model/rope_angles.hpp"

#include <ATen/Functions.h>

#include <cmath>

namespace souffleur {

rope_angles::rope_angles(const rope_config& config, int head_dim)
    : config_(config), frequencies_(static_cast<std::size_t>(head_dim) / 2) {
  for (std::size_t i = 0; i < frequencies_.size(); ++i)
    frequencies_[i] = std::pow(config.base, -2.0 * static_cast<double>(i) / head_dim) / config.position_scale;
}

void rope_angles::set(std::span<const std::int32_t> positions) {
  const auto n = static_cast<std::int64_t>(positions.size());
  if (!cosines_.defined() || cosines_.size(0) != n) {
    cosines_ = at::empty({n, static_cast<std::int64_t>(frequencies_.size())}, at::kFloat);
    sines_ = at::empty_like(cosines_);
  }
  auto* cosine = cosines_.data_ptr<float>();
  auto* sine = sines_.data_ptr<float>();
  for (const auto position : positions)
    for (const double frequency : frequencies_) {
      const double angle = position * frequency;
      *cosine++ = static_cast<float>(std::cos(angle));
      *sine++ = static_cast<float>(std::sin(angle));
    }
}

} // namespace souffleur
