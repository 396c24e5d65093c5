// Precision and recall of the semantic cache as a picture.
#pragma once

#include "policies/calibration.hpp"

#include <iosfwd>
#include <span>

namespace souffleur {

/// An SVG: a line over all thresholds with the guards and one without, and a dot for each certified floor.
void write_precision_plot(std::ostream& out, std::span<const labelled_lookup> lookups,
                          std::span<const certified_floor> floors);

} // namespace souffleur
