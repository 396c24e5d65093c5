// How much a template may consume.
#pragma once

#include <cstddef>
#include <cstdint>

namespace souffleur::jinja {

/// Bounds of one rendering: a hostile template ends in an error, not in a hang or an overflow.
struct limits {
  std::int64_t max_steps = 20'000'000;        ///< nodes evaluated, items visited, comparisons made
  std::size_t max_output_bytes = 64u << 20;   ///< of the text rendered, and of any one string on the way
  std::size_t max_created_bytes = 512u << 20; ///< of all strings and containers made on the way, in total
  int max_depth = 600;                        ///< nested evaluations: expressions, blocks and macro calls
};

/// Nesting of an expression or of blocks that the parser accepts.
inline constexpr int max_syntax_depth = 200;
/// Nesting of lists and dicts that a rendering accepts.
inline constexpr int max_value_depth = 100;
/// Bytes of template text that the parser accepts.
inline constexpr std::size_t max_source_bytes = 4u << 20;
/// Items that range() yields at most, as in Jinja's sandbox.
inline constexpr std::int64_t max_range_items = 100'000;

} // namespace souffleur::jinja
