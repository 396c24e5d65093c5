// The words of a text that say something, in a form that is cheap to keep and to compare.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace souffleur {

/// Hashes of the stems of the first `most_content_words` words and numbers that say what `text` is about,
/// sorted, each once. Empty if there are none, or if the text is in a script that puts no spaces between
/// words.
std::vector<std::uint64_t> content_words(std::string_view text);
inline constexpr std::size_t most_content_words = 64;

} // namespace souffleur
