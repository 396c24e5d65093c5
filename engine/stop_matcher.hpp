// Finds the earliest of several strings in text that arrives in pieces, looking at every byte once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Knuth-Morris-Pratt over each string at once. Positions count bytes from the start of the text.
class stop_matcher {
public:
  /// Empty strings are left out.
  explicit stop_matcher(std::vector<std::string> wanted);
  void read(std::string_view text);
  /// Bytes read so far.
  std::uint64_t n_read() const { return n_read_; }

  struct match {
    std::uint64_t begin = 0;
    std::string_view text; ///< points into the matcher
  };
  /// The match that begins first (of those that begin there the shortest), once no later text can bring an
  /// earlier one. At the end of the text, whatever was found.
  std::optional<match> earliest(bool at_end) const;
  /// Where the first match could begin that is not complete yet. Without an `earliest` match none begins
  /// before it.
  std::uint64_t earliest_open() const;

private:
  struct pattern {
    std::string text;
    std::vector<std::uint32_t> borders; ///< borders[i]: longest proper border of the first i + 1 bytes
    std::uint32_t n_matched = 0; ///< longest beginning of `text` that ends where the text read so far ends
    std::optional<std::uint64_t> found; ///< where its first match begins; then it reads no further
  };
  const pattern* first_found() const;

  std::vector<pattern> patterns_;
  std::uint64_t n_read_ = 0;
};

} // namespace souffleur
