// What `souffleur cache calibrate` found, as the server reads it (`cache.calibration`).
#pragma once

#include "engine/result.hpp"
#include "policies/calibration.hpp"

#include <iosfwd>
#include <string>

namespace souffleur {

struct calibration_file {
  cache_calibration calibration;
  std::string embedder; ///< fingerprint: similarities of another embedder mean something else
  double confidence = 0.95;
  int n_requests = 0; ///< that it was learnt from

  /// The error says which field is missing or wrong, or that it is another format's.
  static result<calibration_file> read(std::istream& json);
  /// The file is named in the error.
  static result<calibration_file> read(const std::string& path);
  void write(std::ostream& json) const;
};

} // namespace souffleur
