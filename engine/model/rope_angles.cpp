#include "engine/model/rope_angles.hpp"

#include "engine/model/rope_frequencies.hpp"

#include <ATen/Functions.h>

#include <cmath>

namespace souffleur {

rope_angles::rope_angles(const rope_config& config, int head_dim)
    : config_(config), frequencies_(rope_frequencies(config, head_dim)) {}

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
