// The repair against the Unicode standard's own words (D93b, "maximal subpart"), written without tables.
#include "engine/tokenizer/utf8.hpp"

#include "tests/engine/random_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

using namespace testing;

std::uint8_t byte_at(std::string_view bytes, std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); }

/// True if the bytes are the one encoding of one scalar value.
bool is_one_character(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > 4)
    return false;
  std::uint32_t code = byte_at(bytes, 0);
  if (bytes.size() > 1)
    code &= 0x7FU >> bytes.size();
  for (std::size_t i = 1; i < bytes.size(); ++i)
    code = code << 6 | (byte_at(bytes, i) & 0x3F);
  return code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF) && utf8_of(code) == bytes;
}

/// True if some character begins with these bytes and is longer. Tries the ends of all narrowed ranges.
bool begins_a_character(const std::string& bytes) {
  if (bytes.size() > 3)
    return false;
  for (const char next : {'\x80', '\x8F', '\x90', '\x9F', '\xA0', '\xBF'})
    if (is_one_character(bytes + next) || begins_a_character(bytes + next))
      return true;
  return false;
}

std::string naively_repaired(const std::string& bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t n = 1;
    while (n <= 4 && at + n <= bytes.size() && !is_one_character(bytes.substr(at, n)))
      ++n;
    if (n <= 4 && at + n <= bytes.size()) {
      text += bytes.substr(at, n);
      at += n;
      continue;
    }
    n = 1;
    while (at + n < bytes.size() && begins_a_character(bytes.substr(at, n + 1)))
      ++n;
    text += "\xEF\xBF\xBD";
    at += n;
  }
  return text;
}

// Planted bugs that this caught: surrogates let through, E0's second byte not narrowed.
RC_GTEST_PROP(Utf8, ReplacesExactlyTheMaximalInvalidParts, ()) {
  for (const auto& bytes : *rc::gen::container<std::vector<std::string>>(20, broken_text())) {
    const auto text = repaired_utf8(bytes);
    RC_ASSERT(text == naively_repaired(bytes));
    RC_ASSERT(is_valid_utf8(text));
    RC_ASSERT(is_valid_utf8(bytes) == (text == bytes));
  }
}

TEST(Utf8, ReplacesEveryPairOfBytesAsTheStandardSays) {
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second) {
      const std::string bytes{static_cast<char>(first), static_cast<char>(second)};
      for (const auto& input : {bytes, bytes + "\x80", bytes + "\xBF\xBF", bytes + "x"})
        ASSERT_EQ(repaired_utf8(input), naively_repaired(input)) << first << " " << second;
    }
}

TEST(Utf8, ComposesCanonically) {
  EXPECT_EQ(nfc("plain \u00e9"), "plain \u00e9");
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("a\u0308\u0323"), "\u1ea1\u0308") << "marks are put in order first";
  EXPECT_EQ(nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(nfc("\u212b"), "\u00c5");
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c") << "excluded from composition";
  EXPECT_EQ(nfc("\ufb01"), "\ufb01") << "compatibility forms stay";
}

RC_GTEST_PROP(Utf8, ComposesTheComposedToItself, ()) {
  const auto normal = nfc(*unicode_text());
  RC_ASSERT(is_valid_utf8(normal));
  RC_ASSERT(nfc(normal) == normal);
}

} // namespace
} // namespace souffleur
