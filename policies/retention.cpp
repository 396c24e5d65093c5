#include "policies/retention.hpp"

#include <algorithm>

namespace souffleur {

retention_policy::retention_policy(int n_pages, double max_pinned_share)
    : max_pinned_(static_cast<int>(n_pages * std::clamp(max_pinned_share, 0.0, 1.0))) {}

retention retention_policy::grant(const retention& granted, const retention_wish& wish, int n_pages,
                                  int n_pinned, double now_s) const {
  const auto now = valid_at(granted, now_s);
  const auto fits = now.pinned() || n_pinned + n_pages <= max_pinned_;
  const auto priority =
      wish.pinned ? retention::max_priority : std::clamp(wish.priority, 0, retention::max_priority);
  const auto wished = valid_at(
      {.level = wish.pinned && fits ? retention::pin_level : priority, .until_s = now_s + wish.ttl_s}, now_s);
  if (now.level != wished.level) {
    return now.level > wished.level ? now : wished;
  }
  return {.level = now.level, .until_s = std::max(now.until_s, wished.until_s)};
}

retention valid_at(const retention& granted, double now_s) {
  return granted.level > 0 && now_s < granted.until_s ? granted : retention{};
}

} // namespace souffleur
