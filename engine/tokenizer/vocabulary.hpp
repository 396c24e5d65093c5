// What a GGUF says about its tokens, checked.
#pragma once

#include "engine/gguf.hpp"
#include "engine/tokenizer/byte_pairs.hpp"
#include "engine/tokenizer/special_tokens.hpp"

#include <optional>
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

/// Invariant: every id in it is an index into `pieces` and `kinds`, which have the same size. Moved, never
/// copied: it points into itself.
struct vocabulary {
  vocabulary() = default;
  vocabulary(vocabulary&&) = default;
  vocabulary& operator=(vocabulary&&) = default;

  std::vector<std::string> pieces; ///< the bytes of each token
  std::vector<token_kind> kinds;
  byte_pairs pairs;
  special_tokens specials;
  /// Tokens that merging may yield, by their bytes. Keys point into `pieces`. Empty unless asked for.
  std::unordered_map<std::string_view, token_id> whole_words;
  std::vector<token_id> ends; ///< the EOS first
  std::optional<token_id> bos;
  bool adds_bos = false;
};

/// Reads the `tokenizer.ggml.*` keys; an error names the one that is wrong. `adds_bos_by_default` holds where
/// the file does not say.
result<vocabulary> read_vocabulary(const gguf_file& file, bool with_whole_words, bool adds_bos_by_default);

} // namespace souffleur
