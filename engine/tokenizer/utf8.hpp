// UTF-8 as it arrives: well formed, cut off, or broken (Unicode standard, table 3-7 and "maximal subparts").
#pragma once

#include <string>
#include <string_view>

namespace souffleur {

enum class utf8_state { complete, incomplete, invalid };

/// What stands at the start of some bytes.
struct utf8_part {
  utf8_state state = utf8_state::invalid;
  std::size_t n_bytes = 1; ///< of the character, of its beginning, or of the maximal invalid part; ≥ 1
};

/// U+FFFD, which stands for each maximal invalid part.
inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

/// `incomplete` means that all of `bytes` is a proper beginning of a character. REQUIRES: bytes is not empty.
utf8_part first_utf8_part(std::string_view bytes);

/// Text with every maximal invalid part replaced (WHATWG's decoder, Python's errors="replace").
std::string repaired_utf8(std::string_view bytes);

bool is_valid_utf8(std::string_view bytes);

/// Unicode normalisation form C. REQUIRES: valid UTF-8.
std::string nfc(std::string_view text);

} // namespace souffleur
