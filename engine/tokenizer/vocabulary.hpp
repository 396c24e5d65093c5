// What every GGUF vocabulary says about its tokens, checked.
#pragma once

#include "engine/gguf.hpp"
#include "engine/tokenizer/special_tokens.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// GGML's token types.
enum class token_kind : std::uint8_t { undefined, normal, unknown, control, user_defined, unused, byte };

/// A control token is no text: it is parsed only on demand, never a result of merging, and has no bytes to
/// show.
constexpr bool is_control_kind(token_kind kind) {
  return kind == token_kind::control || kind == token_kind::unknown;
}

/// Tokens that are found in the text as they are spelled, before anything is merged.
constexpr bool stands_as_spelled(token_kind kind) {
  return is_control_kind(kind) || kind == token_kind::user_defined;
}

/// Spellings and types as the file has them: equally many, no two spelled alike unless empty. Points into the
/// file.
struct spelled_tokens {
  std::span<const std::string> spellings;
  std::vector<token_kind> kinds;
  std::unordered_map<std::string_view, token_id> ids;
};
result<spelled_tokens> read_spelled_tokens(const gguf_file& file);

/// Invariant: every id in it is an index into `pieces` and `kinds`, which have the same size.
struct vocabulary {
  std::vector<std::string> pieces; ///< the bytes of each token
  std::vector<token_kind> kinds;
  special_tokens specials;
  std::vector<token_id> ends; ///< the EOS first
  std::optional<token_id> bos;
  std::optional<token_id> unknown;
  bool adds_bos = false;
};

/// The bytes that a token stands for which does not stand as spelled.
using bytes_of_token = std::string (*)(std::string_view spelling, token_kind kind);

/// Reads the `tokenizer.ggml.*` keys that all models share; an error names the one that is wrong.
/// `adds_bos_by_default` holds where the file does not say.
result<vocabulary> read_vocabulary(const gguf_file& file, const spelled_tokens& tokens, bytes_of_token bytes,
                                   bool adds_bos_by_default);

/// A failure about the value of `key`.
failure wrong_value(std::string_view key, const std::string& why);
/// The same about one element of its array.
failure wrong_element(std::string_view key, std::size_t index, const std::string& why);

} // namespace souffleur
