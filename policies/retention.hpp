// What a request asks for beyond what its use deserves: that its prefix stays in the cache.
#pragma once

namespace souffleur {

/// `souffleur.cache_priority` and `souffleur.cache_ttl_s` of a request.
struct retention_wish {
  int priority = 0;    ///< 0: as the eviction policy says; to max_priority
  bool pinned = false; ///< above every priority
  double ttl_s = 0;    ///< from the last time that the request has put something into the cache
};

/// What a cached prefix has been granted.
struct retention {
  static constexpr int max_priority = 100;
  static constexpr int pin_level = max_priority + 1;

  int level = 0;      ///< a priority or pin_level
  double until_s = 0; ///< void from then on

  bool pinned() const { return level == pin_level; }
  bool operator==(const retention&) const = default;
};

/// Of two prefixes the one of the lower level goes first, whatever the eviction policy says; a pinned one
/// stays as long as anybody else can make room. What is pinned is bounded, so that nobody can block the
/// memory. Times are seconds of any one clock.
class retention_policy {
public:
  /// Of a pool of `n_pages` at most `max_pinned_share` (0 to 1) are pinned.
  retention_policy(int n_pages, double max_pinned_share);

  /// What a stretch of `n_pages` that has `granted` gets on a wish, when `n_pinned` pages of the pool are
  /// pinned, the stretch's own included. The higher level counts until its time is up, of equal ones the
  /// later time; beyond the share a pin is the highest priority.
  retention grant(const retention& granted, const retention_wish& wish, int n_pages, int n_pinned,
                  double now_s) const;

  int max_pinned() const { return max_pinned_; } ///< pages

private:
  int max_pinned_;
};

/// `granted`, or nothing if its time is up.
retention valid_at(const retention& granted, double now_s);

} // namespace souffleur
