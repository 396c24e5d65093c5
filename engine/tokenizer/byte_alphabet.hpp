// GPT-2's printable alphabet: every byte is spelled as one Unicode character in a byte-level vocabulary.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace souffleur {

/// UTF-8 of the character that spells `byte`: itself where printable in Latin-1, else U+0100 and up in order
/// (`bytes_to_unicode` of the GPT-2 release).
std::string spelling_of_byte(std::uint8_t byte);

/// The bytes that a token's spelling stands for. A spelling with a character outside the alphabet stands for
/// itself, as in Hugging Face's byte-level decoder.
std::string bytes_of_spelling(std::string_view spelling);

} // namespace souffleur
