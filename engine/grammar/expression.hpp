// What a grammar is made of: expressions over bytes and characters, and rules that may call each other.
#pragma once

#include "engine/grammar/characters.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur::grammar {

using rule_id = int;
inline constexpr int unlimited = -1;

/// A tree. Every front end (JSON schema, regular expression, GBNF) is translated into these and nothing else.
struct expression {
  enum class kind : std::uint8_t {
    bytes,      ///< `text`
    characters, ///< one character of `set`, in UTF-8
    sequence,   ///< `parts`, one after the other; without parts: the empty text
    choice,     ///< one of `parts`; without parts: nothing at all
    repetition, ///< parts.front(), `least` to `most` times
    rule,       ///< whatever `callee` stands for
    avoiding    ///< any bytes among which `text` does not occur
  };
  kind what = kind::sequence;
  std::string text;
  character_set set;
  std::vector<expression> parts;
  int least = 0;
  int most = 0;
  rule_id callee = 0;
};

expression bytes(std::string text);
expression one_of(character_set set);
expression one_of(std::string_view ascii);
expression sequence(std::vector<expression> parts);
expression choice(std::vector<expression> parts);
expression repeated(expression part, int least, int most);
expression optional(expression part);
expression call(rule_id callee);
expression nothing();
/// REQUIRES: text is not empty.
expression avoiding(std::string text);

/// A grammar: its texts are those of `root`.
struct rules {
  std::vector<expression> bodies; ///< by rule_id
  std::vector<std::string> names; ///< the same; for errors
  rule_id root = 0;
  /// A rule for one character that a JSON string may have as it is or escaped; -1: none. It lets masks be
  /// found faster (see vocabulary_trie).
  rule_id json_character = -1;

  /// To be defined later.
  rule_id declare(std::string name);
  rule_id add(std::string name, expression body);
};

} // namespace souffleur::grammar
