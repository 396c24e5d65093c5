// Schemas, patterns and grammars that clients send: read, compiled, and a text of each written.
#include "engine/grammar/automaton.hpp"
#include "engine/grammar/expression.hpp"
#include "engine/grammar/output_grammar.hpp"
#include "engine/grammar/token_grammar.hpp"
#include "engine/grammar/vocabulary_trie.hpp"
#include "tests/engine/tiny_gguf.hpp"
#include "tests/fuzz/target.hpp"

#include <boost/json/parse.hpp>

namespace souffleur::fuzz {
namespace {

using namespace grammar;

constexpr int n_most_tokens = 48;

std::shared_ptr<const vocabulary_trie> vocabulary() {
  static const auto made = [] {
    auto words =
        testing::tiny_vocabulary{}.merged("{", "\"").merged("\"", ":").merged("a", "b").merged("0", "0");
    words.token("<|im_end|>", 3);
    const auto bytes = words.file().id("tokenizer.ggml.eos_token_id", 260).bytes();
    return std::make_shared<const vocabulary_trie>(*tokenizer::from_gguf(**gguf_file::parse(bytes)));
  }();
  return made;
}

/// A token that the mask allows, by a rule that reaches all of them.
token_id choice_in(const token_mask& mask, std::uint64_t turn) {
  const auto n = mask.size() * 64;
  for (std::size_t i = 0; i < n; ++i)
    if (const auto token = static_cast<token_id>((turn * 37 + i) % n); allows(mask, token))
      return token;
  return -1;
}

/// Whatever is read, something can follow.
void write_a_text(token_grammar& of, std::uint64_t turn) {
  grammar_cursor cursor{std::shared_ptr<token_grammar>{std::shared_ptr<void>{}, &of}};
  const auto& words = vocabulary()->vocabulary();
  for (int i = 0; i < n_most_tokens && !cursor.is_over(); ++i) {
    const auto mask = cursor.mask();
    if (!mask)
      return;
    const auto token = choice_in(*mask, turn + static_cast<std::uint64_t>(i));
    require(token >= 0, "some token is allowed while a text is not over");
    if (words.is_end(token)) {
      require(cursor.can_end(), "an end is allowed where the text may end");
      return;
    }
    (void)cursor.forced_bytes(32);
    const auto next = cursor.after(token);
    require(next.has_value(), "an allowed token can be read");
    cursor = *next;
  }
}

void take(language in, std::string_view source) {
  const auto made = rules_of({in, std::string{source}});
  if (!made)
    return;
  auto compiled = automaton::compile(*made);
  if (!compiled)
    return;
  token_grammar joined{std::move(*compiled), vocabulary(), {std::size_t{1} << 20, 20'000}};
  for (const std::uint64_t turn : {0, 11, 97})
    write_a_text(joined, turn + source.size());
}

void take_schema(std::string_view input) { take(language::json_schema, input); }
void take_regex(std::string_view input) { take(language::regex, input); }
void take_gbnf(std::string_view input) { take(language::gbnf, input); }
void take_choice_list(std::string_view input) { take(language::choice, input); }

std::vector<std::string> schema_seeds() {
  return {
      R"({"type":"object","properties":{"city":{"type":"string","maxLength":20},"people":{"type":"integer","minimum":0}},"required":["city","people"],"additionalProperties":false})",
      R"({"type":"array","items":{"type":"number","minimum":-1.5,"exclusiveMaximum":20},"minItems":1,"maxItems":4,"uniqueItems":false})",
      R"({"anyOf":[{"const":1},{"enum":["a",null,true]},{"$ref":"#/$defs/tree"}],"$defs":{"tree":{"type":"object","properties":{"left":{"$ref":"#/$defs/tree"}}}}})",
      R"({"allOf":[{"type":"object","properties":{"a":{"type":"string","pattern":"^[a-z]{2,5}$"}}},{"required":["a"]}]})",
      R"({"type":"string","format":"date-time"})",
      R"({"type":["string","null"],"minLength":2,"maxLength":5})",
      R"({"prefixItems":[{"type":"boolean"},{"type":"integer","multipleOf":5}],"items":false,"type":"array"})",
      R"({"type":"object","patternProperties":{"^x-":{"type":"string"}},"additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":3})",
      R"({"type":"string","format":"uuid"})",
      R"({"oneOf":[{"type":"integer","maximum":-10},{"type":"string"}],"description":"d","title":"t"})",
      "true"};
}

std::vector<std::string> regex_seeds() {
  return {R"(^(\d{3}-)?\d{4}$)",
          R"([A-Za-z_][A-Za-z0-9_]*)",
          R"((yes|no|maybe)( please){0,2})",
          R"(\p{Lu}\p{Ll}+ [^\s"]{1,10}\.)",
          R"((?:a|b)+?c*|\x41\u00e9\u{1F600})",
          R"([\w.+-]+@[\w-]+\.[a-z]{2,})",
          R"((?=x)y\b\1)",
          R"(\/\*[^*]*\*\/)"};
}

std::vector<std::string> gbnf_seeds() {
  return {"root ::= \"yes\" | \"no\" ws\nws ::= [ \\t\\n]*\n",
          "root ::= expr\nexpr ::= term (\"+\" term)* # comment\nterm ::= [0-9]+ | \"(\" expr \")\"\n",
          "root ::= item{2,5}\nitem ::= \"- \" [^\\n]{1,20} \"\\n\"\n",
          "root ::= \"\\x41\" \"\\u00e9\" . (\"a\" | \"b\")? word+\nword ::= [a-zA-Z]+\n",
          "root ::= root \"a\" | \"b\"\n"};
}

std::vector<std::string> choice_seeds() { return {R"(["red","green","blue"])", R"(["a","ab","é\n\"x\""])"}; }

const registered schemas{{"grammar-json-schema", take_schema, schema_seeds}};
const registered patterns{{"grammar-regex", take_regex, regex_seeds}};
const registered grammars{{"grammar-gbnf", take_gbnf, gbnf_seeds}};
const registered choices{{"grammar-choice", take_choice_list, choice_seeds}};

} // namespace
} // namespace souffleur::fuzz
