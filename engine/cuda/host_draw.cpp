#include "engine/cuda/host_draw.hpp"

#include "engine/cuda/shares.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace souffleur::cuda {

namespace {

struct candidate {
  std::uint64_t key;
  std::uint64_t share;
  std::int32_t token;
};

std::uint64_t total_share(std::span<const candidate> candidates) {
  std::uint64_t total = 0;
  for (const auto& one : candidates)
    total += one.share;
  return total;
}

/// REQUIRES: descending keys.
void keep_top_p(std::vector<candidate>& candidates, float top_p) {
  const auto enough = share_for_top_p(total_share(candidates), top_p);
  std::uint64_t share = 0;
  std::size_t n = 0;
  while (share < enough)
    share += candidates[n++].share;
  candidates.resize(n);
}

} // namespace

std::int32_t drawn_token(std::span<const float> logits, std::int32_t choice, const token_draw& draw) {
  const float best = logits[static_cast<std::size_t>(choice)];
  if (!(draw.temperature > 0) || !std::isfinite(best))
    return choice;
  const double per_temperature = 1 / static_cast<double>(draw.temperature);
  std::vector<candidate> kept;
  for (std::int32_t token = 0; const float logit : logits) {
    kept.push_back({key_of(logit, token), share_of(logit, best, per_temperature), token});
    ++token;
  }
  std::ranges::sort(kept, std::greater{}, &candidate::key);
  if (draw.top_k > 0)
    kept.resize(std::min(kept.size(), static_cast<std::size_t>(draw.top_k)));
  if (draw.top_p < 1)
    keep_top_p(kept, draw.top_p);
  const auto least = share_for_min_p(draw.min_p);
  std::erase_if(kept, [&](const candidate& one) { return one.share < least; });
  std::ranges::sort(kept, std::less{}, &candidate::token);
  const auto at = place_of(draw.uniform, total_share(kept));
  std::uint64_t share = 0;
  const auto drawn =
      std::ranges::find_if(kept, [&](const candidate& one) { return (share += one.share) > at; });
  return drawn->token;
}

} // namespace souffleur::cuda
