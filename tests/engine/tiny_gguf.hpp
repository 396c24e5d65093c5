// Writes GGUF files of metadata alone, in memory.
#pragma once

#include "engine/gguf.hpp"
#include "engine/tokenizer/byte_alphabet.hpp"

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace souffleur::testing {

/// Keys can be set, replaced and removed; `bytes()` is the file.
class tiny_gguf {
public:
  tiny_gguf& text(const std::string& key, const std::string& value) {
    return store(key, type_string, encoded(value));
  }
  tiny_gguf& flag(const std::string& key, bool value) {
    return store(key, type_bool, encoded<std::uint8_t>(value));
  }
  tiny_gguf& id(const std::string& key, std::uint32_t value) { return store(key, type_u32, encoded(value)); }
  tiny_gguf& integer(const std::string& key, std::int32_t value) {
    return store(key, type_i32, encoded(value));
  }
  tiny_gguf& texts(const std::string& key, const std::vector<std::string>& values) {
    return array(key, type_string, values);
  }
  tiny_gguf& integers(const std::string& key, const std::vector<std::int32_t>& values) {
    return array(key, type_i32, values);
  }
  tiny_gguf& remove(const std::string& key) {
    entries_.erase(key);
    return *this;
  }
  std::vector<std::byte> bytes() const {
    auto file = encoded<std::uint32_t>(0x46554747) + encoded<std::uint32_t>(3) + encoded<std::uint64_t>(0) +
                encoded<std::uint64_t>(entries_.size());
    for (const auto& [key, value] : entries_)
      file += encoded(key) + value;
    const auto* begin = reinterpret_cast<const std::byte*>(file.data());
    return {begin, begin + file.size()};
  }

private:
  static constexpr std::uint32_t type_u32 = 4;
  static constexpr std::uint32_t type_i32 = 5;
  static constexpr std::uint32_t type_bool = 7;
  static constexpr std::uint32_t type_string = 8;
  static constexpr std::uint32_t type_array = 9;

  template <class T>
  requires std::is_arithmetic_v<T>
  static std::string encoded(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string encoded(const std::string& value) {
    return encoded<std::uint64_t>(value.size()) + value;
  }

  template <class T>
  tiny_gguf& array(const std::string& key, std::uint32_t type, const std::vector<T>& values) {
    auto content = encoded(type) + encoded<std::uint64_t>(values.size());
    for (const auto& value : values)
      content += encoded(value);
    return store(key, type_array, content);
  }
  tiny_gguf& store(const std::string& key, std::uint32_t type, const std::string& content) {
    entries_[key] = encoded(type) + content;
    return *this;
  }
  std::map<std::string, std::string> entries_;
};

/// A vocabulary under construction: the 256 bytes (id = byte), then what is added.
struct tiny_vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types = std::vector<std::int32_t>(256, 1);
  std::vector<std::string> merges;

  tiny_vocabulary() {
    for (int byte = 0; byte < 256; ++byte)
      tokens.push_back(spelling_of_byte(static_cast<std::uint8_t>(byte)));
  }
  tiny_vocabulary& token(const std::string& spelling, std::int32_t type = 1) {
    tokens.push_back(spelling);
    types.push_back(type);
    return *this;
  }
  /// A normal token and the merge that makes it.
  tiny_vocabulary& merged(const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    return token(left + right);
  }
  tiny_gguf file(const std::string& pre = "gpt-2") const {
    tiny_gguf made;
    made.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
    made.texts("tokenizer.ggml.tokens", tokens).integers("tokenizer.ggml.token_type", types);
    made.texts("tokenizer.ggml.merges", merges);
    return made;
  }
};

} // namespace souffleur::testing
