// Entries as bytes: what was written is read, and nothing else is, whatever happened to the bytes.
#include "engine/cache/entry_codec.hpp"

#include "tests/engine/cache/random_entry.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <limits>

namespace souffleur {
namespace {

using testing::any_entry;
using testing::is_same;

constexpr std::size_t checksum_bytes = 8;
constexpr std::size_t version_at = 4;
constexpr std::size_t question_length_at = 8 + 3 * 32;

/// As somebody leaves it who means harm: the checksum is right again.
std::string sealed(std::string bytes) {
  const std::size_t n = bytes.size() - checksum_bytes;
  const std::uint64_t checksum = XXH3_64bits(bytes.data(), n);
  std::memcpy(bytes.data() + n, &checksum, sizeof checksum);
  return bytes;
}

cache_entry plain_entry() {
  cache_entry entry;
  entry.question = "why?";
  entry.embedding = {0.6F, 0.8F};
  entry.embedder = "e";
  entry.answer =
      std::make_shared<const cached_answer>(cached_answer{{{1, "a", "a"}, {2, "b", "b"}}, "c", "."});
  return entry;
}

bool is_refused(const cache_entry& entry) { return !decode_entry(encode_entry(entry)); }

} // namespace

RC_GTEST_PROP(EntryCodec, ReadsWhatItWrote, ()) {
  const auto entry = any_entry();
  const auto read = decode_entry(encode_entry(entry));
  RC_ASSERT(read.has_value());
  RC_ASSERT(is_same(*read, entry));
}

RC_GTEST_PROP(EntryCodec, ReadsTheNamesFromTheFirstBytes, ()) {
  const auto entry = any_entry();
  const auto bytes = encode_entry(entry);
  const entry_names expected{entry.exact, entry.partition, entry.owner};
  RC_ASSERT(decode_names(bytes) == expected);
  const auto n_bytes = *rc::gen::inRange<std::size_t>(0, bytes.size());
  const auto read = decode_names(bytes.substr(0, n_bytes));
  RC_ASSERT((n_bytes < encoded_names_bytes ? !read : read == expected));
}

RC_GTEST_PROP(EntryCodec, ReadsNothingOfAPart, ()) {
  const auto bytes = encode_entry(any_entry());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    RC_ASSERT(!decode_entry(bytes.substr(0, n)));
    RC_ASSERT(!decode_entry(bytes.substr(bytes.size() - n)));
    // Of its own, so that a sanitizer sees who reads behind it.
    if (n >= checksum_bytes)
      RC_ASSERT(!decode_entry(sealed(bytes.substr(0, n))));
  }
  RC_ASSERT(!decode_entry(bytes + '\0'));
  RC_ASSERT(!decode_entry(sealed(bytes + '\0')));
}

RC_GTEST_PROP(EntryCodec, ReadsNothingWhereABitIsWrong, ()) {
  auto bytes = encode_entry(any_entry());
  for (char& byte : bytes)
    for (int bit = 0; bit < 8; ++bit) {
      byte = static_cast<char>(byte ^ (1 << bit));
      RC_ASSERT(!decode_entry(bytes));
      byte = static_cast<char>(byte ^ (1 << bit));
    }
}

RC_GTEST_PROP(EntryCodec, ReadsNothingOfRandomBytes, (const std::string& bytes)) {
  RC_ASSERT(!decode_entry(bytes));
}

RC_GTEST_PROP(EntryCodec, ReadsOnlyWhatItWouldWriteEvenUnderARightChecksum, ()) {
  auto bytes = encode_entry(any_entry());
  const int n_changes = *rc::gen::inRange(1, 4);
  for (int i = 0; i < n_changes; ++i) {
    // Lengths are small numbers and huge ones.
    const auto value = *rc::gen::element<std::uint8_t>(0, 1, 2, 3, 8, 0x7F, 0x80, 0xFE, 0xFF);
    bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = static_cast<char>(value);
  }
  bytes = sealed(std::move(bytes));
  if (const auto read = decode_entry(bytes))
    RC_ASSERT(encode_entry(*read) == bytes);
}

TEST(EntryCodec, ReadsNothingOfAnotherVersion) {
  auto bytes = encode_entry(plain_entry());
  EXPECT_TRUE(decode_entry(sealed(bytes)));
  ++bytes[version_at];
  EXPECT_FALSE(decode_entry(sealed(bytes)));
  EXPECT_FALSE(decode_names(bytes));
}

TEST(EntryCodec, BelievesNoLength) {
  const auto bytes = encode_entry(plain_entry());
  // Each place where a length may be, so that each length has been absurd.
  for (std::size_t at = question_length_at; at + 4 + checksum_bytes <= bytes.size(); ++at)
    for (const std::uint32_t length : {0xFFFFFFFFU, 0x80000000U, 0x10000000U}) {
      auto changed = bytes;
      std::memcpy(changed.data() + at, &length, sizeof length);
      const auto read = decode_entry(sealed(changed));
      EXPECT_TRUE(!read || encode_entry(*read) == sealed(changed)) << at;
    }
}

TEST(EntryCodec, ReadsOnlyEmbeddingsOfLengthOne) {
  auto entry = plain_entry();
  for (const float x : {0.0F, -0.6F - 0.01F, 0.61F, 1e30F, std::numeric_limits<float>::max(),
                        std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    entry.embedding = {x, 0.8F};
    EXPECT_TRUE(is_refused(entry)) << x;
  }
  entry.embedding = {0};
  EXPECT_TRUE(is_refused(entry));
  entry.embedding = {0.6001F, 0.8F};
  EXPECT_FALSE(is_refused(entry));
  entry.embedding = {};
  EXPECT_FALSE(is_refused(entry));
}

TEST(EntryCodec, IsTheFormatOfTheFilesThatThereAre) {
  EXPECT_EQ(XXH3_64bits(encode_entry(plain_entry()).data(), encode_entry(plain_entry()).size()),
            1759468445996798270U);
}

} // namespace souffleur
