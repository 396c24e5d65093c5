// Which KV a long sequence keeps.
#pragma once

#include "policies/token.hpp"

#include <memory>
#include <string_view>

namespace souffleur {

/// What a sequence may keep: its first positions and the last ones.
struct window_limits {
  int n_sinks = 0;
  int n_window = 0;
  bool operator==(const window_limits&) const = default;
};

/// A row's result must not depend on how its sequence was cut into steps. So what it sees follows from its
/// position alone, and is the same for all rows of a page: a step's rows never lie on both sides of a change.
class window_policy {
public:
  virtual ~window_policy() = default;
  virtual std::string_view name() const = 0;
  /// Positions after the sinks that are gone when the row at `position` is computed. Whole pages; grows with
  /// the position, and only at multiples of page_tokens.
  virtual int n_dropped(const window_limits& limits, int position) const = 0;
  /// Positions from the front that are never dropped; whole pages.
  virtual int n_sinks(const window_limits& limits) const = 0;
  /// The most positions that a sequence keeps at once; 0: no bound.
  virtual int most_kept(const window_limits& limits) const = 0;
};

/// Names: "full", "sinks". Null if the name is unknown.
std::unique_ptr<window_policy> make_window_policy(std::string_view name);

} // namespace souffleur
