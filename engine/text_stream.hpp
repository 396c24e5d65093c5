// Turns tokens into text that may be shown: whole UTF-8 characters, and nothing that could begin a stop
// string.
#pragma once

#include "engine/stop_matcher.hpp"
#include "engine/tokenizer.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Holds back bytes only. Never emits half a UTF-8 character; invalid bytes become U+FFFD as soon as they
/// cannot be completed.
class incremental_detokenizer {
public:
  /// Text that became complete with these bytes.
  std::string push(std::string_view bytes);
  /// What is left at the end: an incomplete character becomes U+FFFD.
  std::string flush();

private:
  std::string pending_;
};

/// One generation's text. The concatenation of everything returned is the full text, cut before the earliest
/// stop string: the one that begins first, and of those that begin there the shortest. Control and end tokens
/// have no text. What is held back is the least that could still turn out to begin it.
class text_stream {
public:
  /// Empty stop strings are ignored.
  text_stream(std::shared_ptr<const tokenizer> vocabulary, std::vector<std::string> stop);
  /// Text that can be shown after `token`. After a stop string was met (`stopped()`), returns nothing more.
  std::string push(token_id token);
  /// The rest, at the end of the generation. May find that a stop string was met.
  std::string flush();
  bool stopped() const { return stopped_; }
  /// Empty unless stopped().
  const std::string& matched_stop() const { return matched_stop_; }

private:
  std::string release(std::string_view text, bool at_end);
  std::shared_ptr<const tokenizer> vocabulary_;
  incremental_detokenizer detokenizer_;
  stop_matcher matcher_;
  std::string held_; ///< the end of the text, not yet returned
  std::string matched_stop_;
  bool stopped_ = false;
};

} // namespace souffleur
