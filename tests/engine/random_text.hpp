// RapidCheck generators of text that is hard on Unicode code.
#pragma once

#include <rapidcheck.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace souffleur::testing {

inline std::string utf8_of(std::uint32_t code) {
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  if (code < 0x80)
    return {byte(code)};
  if (code < 0x800)
    return {byte(0xC0 | code >> 6), byte(0x80 | (code & 0x3F))};
  if (code < 0x10000)
    return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F))};
  return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)), byte(0x80 | (code >> 6 & 0x3F)),
          byte(0x80 | (code & 0x3F))};
}

/// Any character, with letters, spaces, marks and the borders of the encoding made likely.
inline rc::Gen<std::string> character() {
  const auto between = [](std::uint32_t low, std::uint32_t high) {
    return rc::gen::map(rc::gen::inRange(low, high + 1), utf8_of);
  };
  return rc::gen::weightedOneOf<std::string>(
      {{8, between(0x20, 0x7E)},
       {2, between(0x00, 0x1F)},
       {3, rc::gen::element<std::string>(" ", "\n", "\t", "\r", "'s", "'LL", "1", "23", "e\u0301", "\u00a0",
                                         "\u3000")},
       {2, between(0x80, 0x7FF)},
       {1, between(0x300, 0x36F)},
       {2, between(0x800, 0xD7FF)},
       {1, between(0xE000, 0xFFFF)},
       {2, between(0x10000, 0x10FFFF)},
       {1,
        rc::gen::map(rc::gen::element<std::uint32_t>(0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF,
                                                     0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF),
                     utf8_of)}});
}

inline rc::Gen<std::string> joined(rc::Gen<std::string> part) {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(std::move(part)), [](const auto& parts) {
    std::string whole;
    for (const auto& each : parts)
      whole += each;
    return whole;
  });
}

/// Valid UTF-8.
inline rc::Gen<std::string> unicode_text() { return joined(character()); }

/// Characters with loose bytes between them; some of those are beginnings of characters.
inline rc::Gen<std::string> broken_text() {
  const auto loose_byte = rc::gen::map(rc::gen::arbitrary<std::uint8_t>(), [](std::uint8_t byte) {
    return std::string{static_cast<char>(byte)};
  });
  const auto cut_character = rc::gen::map(rc::gen::pair(character(), rc::gen::inRange<std::size_t>(0, 4)),
                                          [](const auto& cut) { return cut.first.substr(0, cut.second); });
  // Surrogates, overlong forms, beyond U+10FFFF: right in every byte but one.
  const auto forbidden = rc::gen::element<std::string>(
      "\xED\xA0\x80", "\xED\xBF\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
      "\xF4\x90\x80\x80", "\xC0\xAF", "\xC1\xBF", "\xF5\x80\x80\x80");
  return joined(rc::gen::weightedOneOf<std::string>(
      {{3, character()}, {2, loose_byte}, {2, cut_character}, {1, forbidden}}));
}

} // namespace souffleur::testing
