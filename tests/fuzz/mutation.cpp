#include "tests/fuzz/mutation.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace souffleur::fuzz {

namespace {

constexpr std::size_t most_bytes = 1 << 16;
constexpr std::array<std::string_view, 12> numbers{"0",
                                                   "-1",
                                                   "1",
                                                   "255",
                                                   "65536",
                                                   "2147483647",
                                                   "-2147483649",
                                                   "4294967296",
                                                   "9223372036854775807",
                                                   "18446744073709551616",
                                                   "1e309",
                                                   "0.1"};
/// Where lengths and counts overflow.
constexpr std::array<std::uint64_t, 8> words{0, 1, 0x7f, 0xffff, 0x7fffffff, 0xffffffff, 1ULL << 62, ~0ULL};

} // namespace

std::string mutator::next() {
  auto input = any_seed();
  for (auto n = 1 + below(6); n > 0; --n)
    mutate(input);
  if (input.size() > most_bytes)
    input.resize(most_bytes);
  return input;
}

void mutator::mutate(std::string& input) {
  const auto at = below(input.size() + 1);
  const auto n = std::min<std::size_t>(1 + below(below(8) == 0 ? 256 : 8), input.size() - at);
  switch (below(9)) {
  case 0: // a bit
    if (at < input.size())
      input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
    return;
  case 1: // a byte
    if (at < input.size())
      input[at] = static_cast<char>(random_());
    return;
  case 2:
    input.erase(at, n);
    return;
  case 3:
    input.insert(at, input.substr(at, n));
    return;
  case 4: { // a little-endian number
    auto word = words[below(words.size())] + below(3) - 1;
    for (auto i = at, left = std::size_t{1} << below(4); i < input.size() && left > 0;
         ++i, --left, word >>= 8)
      input[i] = static_cast<char>(word);
    return;
  }
  case 5: { // a number in digits
    const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
    const auto first = std::find_if(input.begin() + static_cast<std::ptrdiff_t>(at), input.end(), is_digit);
    const auto last = std::find_if_not(first, input.end(), is_digit);
    const auto& number = numbers[below(numbers.size())];
    input.replace(first, last, number.begin(), number.end());
    return;
  }
  case 6: { // a part of another seed
    const auto& other = any_seed();
    const auto from = below(other.size() + 1);
    input.insert(at, other.substr(from, 1 + below(64)));
    return;
  }
  case 7: { // this one's beginning, another one's end
    const auto& other = any_seed();
    input.replace(at, std::string::npos, other.substr(below(other.size() + 1)));
    return;
  }
  default: { // the same again and again: nesting
    const auto part = input.substr(at, n);
    std::string many;
    for (auto i = std::size_t{1} << below(11); i > 0 && many.size() < 8192; --i)
      many += part;
    input.insert(at, many);
  }
  }
}

} // namespace souffleur::fuzz
