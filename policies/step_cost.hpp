// How long a step of M rows takes.
#pragma once

#include <span>
#include <vector>

namespace souffleur {

/// One measured step.
struct step_time {
  int n_rows = 0;
  double us = 0;
};

/// T(M), from times measured at the start and corrected by every step since. Between measured numbers of rows
/// it is linear, beyond the last it goes on as between the last two; it never falls with more rows.
///
/// What changes for all steps alike (a clock, a neighbour, longer contexts) is learned as one factor, so that
/// steps which are never taken stay comparable with those that are.
class step_cost {
public:
  /// REQUIRES: n_rows ≥ 1 and us > 0 in each. Empty: nothing was measured; a row more then costs a twentieth
  /// of the first.
  explicit step_cost(std::span<const step_time> measured);

  /// REQUIRES: n_rows ≥ 1.
  double us(int n_rows) const;
  void observe(const step_time& step);

private:
  struct knot {
    int n_rows;
    double us;
    double correction = 1; ///< beside the common factor
  };

  double interpolated(int n_rows) const;

  std::vector<knot> knots_; ///< by rows, ascending; two or more
  double factor_ = 1;
};

} // namespace souffleur
