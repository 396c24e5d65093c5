#include "engine/cache/entry_codec.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

namespace souffleur {

namespace {

constexpr std::uint32_t magic = 0x45434653; // "SFCE"
constexpr std::uint32_t version = 1;
constexpr double length_tolerance = 1e-3;

class byte_writer {
public:
  template <std::integral Number>
  void put(Number number) {
    const auto bits = static_cast<std::make_unsigned_t<Number>>(number);
    for (std::size_t i = 0; i < sizeof bits; ++i)
      bytes_ += static_cast<char>(static_cast<std::uint8_t>(bits >> (8 * i)));
  }
  void put(float number) { put(std::bit_cast<std::uint32_t>(number)); }
  void put(const key_digest& digest) {
    bytes_.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  }
  void put(std::string_view text) {
    put_length(text.size());
    bytes_ += text;
  }
  void put_length(std::size_t n) {
    assert(n <= std::numeric_limits<std::uint32_t>::max());
    put(static_cast<std::uint32_t>(n));
  }

  const std::string& bytes() const { return bytes_; }

private:
  std::string bytes_;
};

/// Reads zeros once it has been asked for more than there is; then `is_whole` is false for good.
class byte_reader {
public:
  explicit byte_reader(std::string_view bytes) : rest_(bytes) {}

  template <std::integral Number>
  void get(Number& number) {
    std::make_unsigned_t<Number> bits = 0;
    const auto bytes = take(sizeof bits);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bits |= static_cast<decltype(bits)>(decltype(bits){static_cast<std::uint8_t>(bytes[i])} << (8 * i));
    number = static_cast<Number>(bits);
  }
  void get(float& number) {
    std::uint32_t bits = 0;
    get(bits);
    number = std::bit_cast<float>(bits);
  }
  void get(key_digest& digest) {
    const auto bytes = take(digest.bytes.size());
    std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  }
  void get(std::string& text) { text = take(length_of_list(1)); }

  /// Of a list whose items take at least so many bytes; 0 if there cannot be so many.
  std::size_t length_of_list(std::size_t min_item_bytes) {
    std::uint32_t n = 0;
    get(n);
    if (n > rest_.size() / min_item_bytes) {
      is_whole_ = false;
      return 0;
    }
    return n;
  }

  bool is_whole() const { return is_whole_; }
  bool is_at_end() const { return rest_.empty(); }

private:
  std::string_view take(std::size_t n) {
    if (!is_whole_ || n > rest_.size()) {
      is_whole_ = false;
      return {};
    }
    const auto taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }

  std::string_view rest_;
  bool is_whole_ = true;
};

std::uint64_t checksum_of(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

void put(byte_writer& to, const cached_answer& answer) {
  to.put_length(answer.pieces.size());
  for (const auto& piece : answer.pieces) {
    to.put(piece.id);
    to.put(piece.bytes);
    to.put(piece.text);
  }
  to.put(answer.tail);
  to.put(answer.stop_string);
  to.put(answer.n_tokens);
}

void get(byte_reader& from, cached_answer& answer) {
  constexpr std::size_t min_piece_bytes = sizeof(token_id) + 2 * sizeof(std::uint32_t);
  answer.pieces.resize(from.length_of_list(min_piece_bytes));
  for (auto& piece : answer.pieces) {
    from.get(piece.id);
    from.get(piece.bytes);
    from.get(piece.text);
  }
  from.get(answer.tail);
  from.get(answer.stop_string);
  from.get(answer.n_tokens);
}

/// False if they are not of this version.
bool get_beginning(byte_reader& from, entry_names& names) {
  std::uint32_t found_magic = 0;
  std::uint32_t found_version = 0;
  from.get(found_magic);
  from.get(found_version);
  from.get(names.exact);
  from.get(names.partition);
  from.get(names.owner);
  return from.is_whole() && found_magic == magic && found_version == version;
}

bool is_embedding(const std::vector<float>& vector) {
  double squares = 0;
  for (const float x : vector)
    squares += double{x} * x;
  // The negation of what is wanted would let NaN pass.
  return vector.empty() || std::abs(std::sqrt(squares) - 1) <= length_tolerance;
}

} // namespace

std::string encode_entry(const cache_entry& entry) {
  assert(entry.answer != nullptr);
  byte_writer to;
  to.put(magic);
  to.put(version);
  to.put(entry.exact);
  to.put(entry.partition);
  to.put(entry.owner);
  to.put(entry.question);
  to.put_length(entry.embedding.size());
  for (const float x : entry.embedding)
    to.put(x);
  to.put(entry.embedder);
  to.put(entry.created_s);
  to.put(entry.expires_s);
  put(to, *entry.answer);
  to.put(checksum_of(to.bytes()));
  return to.bytes();
}

std::optional<cache_entry> decode_entry(std::string_view bytes) {
  std::uint64_t checksum = 0;
  if (bytes.size() < sizeof checksum)
    return std::nullopt;
  const auto content = bytes.substr(0, bytes.size() - sizeof checksum);
  byte_reader{bytes.substr(content.size())}.get(checksum);
  entry_names names;
  byte_reader from{content};
  if (!get_beginning(from, names) || checksum != checksum_of(content))
    return std::nullopt;

  cache_entry entry;
  entry.exact = names.exact;
  entry.partition = names.partition;
  entry.owner = names.owner;
  from.get(entry.question);
  entry.embedding.resize(from.length_of_list(sizeof(float)));
  for (float& x : entry.embedding)
    from.get(x);
  from.get(entry.embedder);
  from.get(entry.created_s);
  from.get(entry.expires_s);
  cached_answer answer;
  get(from, answer);
  if (!from.is_whole() || !from.is_at_end() || !is_embedding(entry.embedding))
    return std::nullopt;
  entry.answer = std::make_shared<const cached_answer>(std::move(answer));
  return entry;
}

std::optional<entry_names> decode_names(std::string_view bytes) {
  static_assert(encoded_names_bytes ==
                sizeof magic + sizeof version + 3 * std::tuple_size_v<decltype(key_digest::bytes)>);
  entry_names names;
  byte_reader from{bytes};
  if (!get_beginning(from, names))
    return std::nullopt;
  return names;
}

} // namespace souffleur
