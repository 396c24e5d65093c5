// Writes small GGUF files in memory.
#pragma once

#include "engine/gguf.hpp"
#include "engine/tokenizer/byte_alphabet.hpp"

#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::testing {

/// Keys and tensors can be set, replaced and removed; `bytes()` is the file.
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
  tiny_gguf& number(const std::string& key, float value) { return store(key, type_f32, encoded(value)); }
  tiny_gguf& numbers(const std::string& key, const std::vector<float>& values) {
    return array(key, type_f32, values);
  }
  tiny_gguf& remove(const std::string& key) {
    entries_.erase(key);
    return *this;
  }
  /// Float32; `shape` in GGML's order.
  tiny_gguf& tensor(const std::string& name, const std::vector<std::int64_t>& shape,
                    const std::vector<float>& values) {
    tensors_[name] = {shape, values};
    return *this;
  }
  tiny_gguf& remove_tensor(const std::string& name) {
    tensors_.erase(name);
    return *this;
  }
  std::vector<std::byte> bytes() const {
    auto file = encoded<std::uint32_t>(0x46554747) + encoded<std::uint32_t>(3) +
                encoded<std::uint64_t>(tensors_.size()) + encoded<std::uint64_t>(entries_.size());
    for (const auto& [key, value] : entries_)
      file += encoded(key) + value;
    std::string data;
    for (const auto& [name, tensor] : tensors_) {
      file += encoded(name) + encoded(static_cast<std::uint32_t>(tensor.shape.size()));
      for (const auto n : tensor.shape)
        file += encoded(n);
      file += encoded(static_cast<std::uint32_t>(tensor_type::f32)) + encoded<std::uint64_t>(data.size());
      data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
      pad(data);
    }
    if (!tensors_.empty())
      pad(file);
    file += data;
    const auto* begin = reinterpret_cast<const std::byte*>(file.data());
    return {begin, begin + file.size()};
  }

private:
  struct tensor_content {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  static void pad(std::string& bytes) {
    constexpr std::size_t alignment = 32;
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
  }
  static constexpr std::uint32_t type_u32 = 4;
  static constexpr std::uint32_t type_i32 = 5;
  static constexpr std::uint32_t type_f32 = 6;
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
  std::map<std::string, tensor_content> tensors_;
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

/// The same for SentencePiece: the unknown token, the 256 bytes (id = 1 + byte), then what is added.
struct tiny_sentence_pieces {
  std::vector<std::string> tokens = {"<unk>"};
  std::vector<std::int32_t> types = {2};
  std::vector<float> scores = {0};

  tiny_sentence_pieces() {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t byte = 0; byte < 256; ++byte)
      token(std::string{"<0x"} + digits[byte / 16] + digits[byte % 16] + ">", 0, 6);
  }
  tiny_sentence_pieces& token(const std::string& spelling, float score, std::int32_t type = 1) {
    tokens.push_back(spelling);
    types.push_back(type);
    scores.push_back(score);
    return *this;
  }
  tiny_gguf file() const {
    tiny_gguf made;
    made.text("tokenizer.ggml.model", "llama").flag("tokenizer.ggml.add_space_prefix", false);
    made.texts("tokenizer.ggml.tokens", tokens).integers("tokenizer.ggml.token_type", types);
    return made.numbers("tokenizer.ggml.scores", scores).id("tokenizer.ggml.unknown_token_id", 0);
  }
};

} // namespace souffleur::testing
