// The parts of a text that are not prose: code and quotations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace souffleur::guards {

struct spans {
  std::vector<std::string> code;   ///< in order; of what stands in backticks, and of what looks like code
  std::vector<std::string> quotes; ///< what stands between double quotes
  std::string prose;               ///< the text without what stands in backticks
};

spans spans_of(std::string_view text);

} // namespace souffleur::guards
