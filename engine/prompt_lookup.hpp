// Drafts by looking up the last few tokens earlier in the same context (Saxena, prompt lookup decoding).
#pragma once

#include "policies/token.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// Incremental n-gram index of one sequence: O(1) per appended token and per lookup.
class prompt_lookup {
public:
  /// Adds tokens to the end of the context.
  void append(std::span<const token_id> tokens);
  /// At most `n_max` tokens that followed the most recent earlier occurrence of the longest matching n-gram.
  std::vector<token_id> propose(int n_max) const;
  std::size_t size() const { return context_.size(); }

private:
  static constexpr std::array<int, 4> orders_ = {8, 5, 3, 2};
  struct occurrences {
    std::int32_t latest = -1;   ///< index after the n-gram
    std::int32_t previous = -1; ///< the one before; what a lookup at the very end needs
  };
  std::vector<token_id> context_;
  std::array<std::unordered_map<std::uint64_t, occurrences>, orders_.size()> index_;
};

} // namespace souffleur
