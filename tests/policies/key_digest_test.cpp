#include "policies/key_digest.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <variant>
#include <vector>

using namespace souffleur;

namespace {

/// What an encoder is given, as a value that can be compared.
struct list_of {
  std::size_t n_items = 0;
  bool operator==(const list_of&) const = default;
};
using item = std::variant<std::string, std::int64_t, double, list_of>;

std::string encoded(const std::vector<item>& items) {
  key_encoder encoder;
  for (const auto& one : items)
    std::visit(
        [&](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, list_of>)
            encoder.begin_list(value.n_items);
          else
            encoder.add(value);
        },
        one);
  return encoder.bytes();
}

/// Few values, of bytes that the encoding itself is made of, so that different sequences are often alike.
item any_item() {
  switch (*rc::gen::inRange(0, 4)) {
  case 0:
    return *rc::gen::container<std::string>(rc::gen::element('s', 'i', 'd', 'l', '\0', '\1', '\2'));
  case 1:
    return *rc::gen::inRange<std::int64_t>(-2, 3);
  case 2:
    return static_cast<double>(*rc::gen::inRange(-2, 3));
  default:
    return list_of{*rc::gen::inRange<std::size_t>(0, 3)};
  }
}

std::vector<item> any_items() {
  std::vector<item> items(*rc::gen::inRange<std::size_t>(0, 5));
  for (auto& one : items)
    one = any_item();
  return items;
}

key_digest digest_of(std::string_view text) {
  key_encoder encoder;
  encoder.add(text);
  return encoder.digest();
}

} // namespace

RC_GTEST_PROP(KeyEncoder, TellsDifferentSequencesApart, ()) {
  const auto a = any_items();
  auto b = any_items();
  if (*rc::gen::arbitrary<bool>()) { // a neighbour: the same but for where two texts part
    b = a;
    for (std::size_t i = 0; i + 1 < b.size(); ++i) {
      auto* one = std::get_if<std::string>(&b[i]);
      auto* next = std::get_if<std::string>(&b[i + 1]);
      if (one != nullptr && next != nullptr && !next->empty()) {
        one->push_back(next->front());
        next->erase(0, 1);
      }
    }
  }
  RC_ASSERT((encoded(a) == encoded(b)) == (a == b));
}

RC_GTEST_PROP(KeyEncoder, NoSequenceContinuesAsAnotherValueOfTheSameKind, ()) {
  const auto a = any_items();
  const auto b = any_items();
  const auto x = encoded(a);
  const auto y = encoded(b);
  if (y.starts_with(x))
    RC_ASSERT(std::equal(a.begin(), a.end(), b.begin(), b.begin() + std::min(a.size(), b.size())));
}

TEST(KeyEncoder, TakesEqualNumbersForTheSame) {
  EXPECT_EQ(encoded({0.0}), encoded({-0.0}));
  EXPECT_EQ(encoded({std::numeric_limits<double>::quiet_NaN()}),
            encoded({-std::numeric_limits<double>::quiet_NaN()}));
  EXPECT_NE(encoded({1.0}), encoded({std::int64_t{1}}));
}

TEST(KeyDigest, IsBlake2b) {
  // BLAKE2b-256 of the empty text, as published with the reference implementation.
  EXPECT_EQ(to_hex(key_encoder{}.digest()),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

TEST(KeyDigest, DependsOnEveryByte) {
  const std::string text(100, 'a');
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto other = text;
    other[i] = 'b';
    EXPECT_NE(digest_of(text), digest_of(other)) << i;
  }
  EXPECT_NE(digest_of(text), digest_of(text + "a"));
}

RC_GTEST_PROP(KeyDigest, IsReadFromItsDigits, ()) {
  const auto digest = digest_of(*rc::gen::arbitrary<std::string>());
  auto digits = to_hex(digest);
  RC_ASSERT(digest_from_hex(digits) == digest);
  RC_ASSERT(!digest_from_hex(digits.substr(1)));
  RC_ASSERT(!digest_from_hex(digits.substr(2)));
  RC_ASSERT(!digest_from_hex(digits + "00"));
  digits[*rc::gen::inRange<std::size_t>(0, digits.size())] = *rc::gen::element('g', 'G', ' ', '/', ':', '\0');
  RC_ASSERT(!digest_from_hex(digits));
}

TEST(KeyDigest, IsReadFromDigitsOfBothCases) {
  const auto digest = digest_of("a");
  auto digits = to_hex(digest);
  std::transform(digits.begin(), digits.end(), digits.begin(),
                 [](unsigned char digit) { return static_cast<char>(std::toupper(digit)); });
  EXPECT_EQ(digest_from_hex(digits), digest);
}
