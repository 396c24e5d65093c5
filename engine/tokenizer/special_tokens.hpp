// Finds tokens that stand in the text as they are spelled, before any splitting or merging.
#pragma once

#include "policies/token.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// A set of spellings, kept as a trie over bytes.
class special_tokens {
public:
  special_tokens();
  /// An empty spelling is never found. `is_control`: found only where control tokens are asked for.
  void add(std::string_view spelling, token_id token, bool is_control);

  struct occurrence {
    std::size_t begin = 0;
    std::size_t end = 0;
    token_id token = 0;
  };
  /// The leftmost occurrence that begins at `from` or later; of those that begin there, the longest.
  std::optional<occurrence> find(std::string_view text, std::size_t from, bool with_control) const;

private:
  static constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();
  struct node {
    token_id token = -1;
    bool is_control = false;
  };
  std::uint32_t step(std::uint32_t from, char byte) const;
  std::vector<node> nodes_;
  std::unordered_map<std::uint64_t, std::uint32_t> edges_; ///< node << 8 | byte → node
};

} // namespace souffleur
