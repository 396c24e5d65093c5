#include "engine/grammar/token_grammar.hpp"

#include "engine/drafting/grammar_drafts.hpp"
#include "engine/grammar/grammar_library.hpp"
#include "engine/grammar/output_grammar.hpp"
#include "engine/grammar/vocabulary_trie.hpp"
#include "engine/sampler.hpp"
#include "tests/engine/grammar/naive_language.hpp"
#include "tests/engine/grammar/random_schema.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <limits>
#include <memory>

namespace souffleur {
namespace {

using namespace testing;
using namespace grammar;

/// Tokens as given; the last two are a control token and an end.
class listed_tokens : public tokenizer {
public:
  explicit listed_tokens(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
    pieces_.emplace_back("a"); // a control token may be spelled like text
    pieces_.emplace_back("b");
    ends_ = {static_cast<token_id>(pieces_.size()) - 1};
  }
  std::vector<token_id> encode(std::string_view, bool) const override { return {}; }
  std::string_view piece(token_id token) const override {
    return token >= 0 && static_cast<std::size_t>(token) < pieces_.size()
               ? std::string_view{pieces_[static_cast<std::size_t>(token)]}
               : std::string_view{};
  }
  bool is_control(token_id token) const override { return token >= ends_[0] - 1; }
  bool is_end(token_id token) const override { return token == ends_[0]; }
  std::span<const token_id> end_tokens() const override { return ends_; }
  std::optional<token_id> bos() const override { return std::nullopt; }
  bool adds_bos() const override { return false; }
  int vocabulary_size() const override { return static_cast<int>(pieces_.size()); }

private:
  std::vector<std::string> pieces_;
  std::array<token_id, 1> ends_{};
};

/// Each byte, and texts that JSON is made of.
std::shared_ptr<const tokenizer> any_vocabulary() {
  std::vector<std::string> pieces{""};
  for (int byte = 0; byte < 256; ++byte)
    pieces.emplace_back(1, static_cast<char>(byte));
  const auto n = *rc::gen::inRange(0, 120);
  for (int i = 0; i < n; ++i) {
    std::string piece;
    for (int k = *rc::gen::inRange(1, 6); k > 0; --k)
      piece +=
          *rc::gen::element<std::string>("a", "b", "ab", "\"", "\",", "\":", "{\"", "}", "[", ", ", "1", "é",
                                         "\xC3", "\\n", "true", "null", "\n  ", "hello world ", "<");
    pieces.push_back(piece);
  }
  return std::make_shared<listed_tokens>(std::move(pieces));
}

rules rules_of_any_kind() {
  if (*rc::gen::arbitrary<bool>())
    return any_rules();
  auto made = rules_of({language::json_schema, json::serialize(any_document())});
  return made ? std::move(*made) : any_rules();
}

/// What the mask of a text has to be, token by token.
void check_mask(const token_mask& mask, const std::string& text, const automaton& of,
                const tokenizer& vocabulary) {
  configurations naive{std::make_shared<const automaton>(of)};
  const auto at = after(naive, text);
  for (token_id token = 0; token < vocabulary.vocabulary_size(); ++token) {
    const auto bytes = vocabulary.piece(token);
    bool fits = !bytes.empty() && !vocabulary.is_control(token);
    auto next = at;
    for (const char byte : bytes)
      next = naive.after(next, static_cast<std::uint8_t>(byte));
    fits = fits && next > too_many_ways;
    if (vocabulary.is_end(token))
      fits = naive.can_end(at);
    RC_ASSERT(allows(mask, token) == fits);
  }
}

/// Strings of a few characters, of which many tokens have more, beside texts that are spelled out.
rules rules_of_short_strings() {
  const auto string = R"({"type":"string","maxLength":)" + std::to_string(*rc::gen::inRange(1, 30)) + "}";
  const std::vector<std::string> schemas = {
      string, R"({"anyOf":[)" + string + R"(,{"enum":["ab\"b","hello world hello world hello world é"]}]})",
      R"({"type":"array","items":)" + string + "}", R"({"anyOf":[{"enum":["ab",1]},)" + string + "]}"};
  return std::move(*rules_of(output_grammar{language::json_schema, *rc::gen::elementOf(schemas)}));
}

void check_masks_along_a_text(const rules& of_text) {
  auto compiled = automaton::compile(of_text);
  if (!compiled)
    return;
  const auto of = *compiled;
  const auto vocabulary = any_vocabulary();
  token_grammar_limits limits;
  limits.memory_bytes = *rc::gen::element<std::size_t>(1, 20'000, 24 << 20); // forgets at once, often, never
  const auto joined = std::make_shared<token_grammar>(
      std::move(*compiled), std::make_shared<const vocabulary_trie>(vocabulary), limits);
  grammar_cursor cursor{joined};
  std::string text;
  std::vector<std::pair<grammar_cursor, std::string>> earlier;
  for (int step = 0; step < 12; ++step) {
    const auto mask = cursor.mask();
    RC_ASSERT(mask != nullptr);
    check_mask(*mask, text, of, *vocabulary);
    earlier.emplace_back(cursor, text);
    std::vector<token_id> allowed;
    for (token_id token = 0; token < vocabulary->vocabulary_size(); ++token) {
      const auto next = vocabulary->is_end(token) ? std::nullopt : cursor.after(token);
      RC_ASSERT(next.has_value() == (allows(*mask, token) && !vocabulary->is_end(token)));
      if (next)
        allowed.push_back(token);
    }
    RC_ASSERT(cursor.is_over() == allowed.empty());
    if (allowed.empty())
      break;
    const auto token = allowed[*rc::gen::inRange<std::size_t>(0, allowed.size())];
    text += vocabulary->piece(token);
    cursor = *cursor.after(token);
  }
  for (const auto& [before, read] : earlier) // what was read since has changed nothing
    check_mask(*before.mask(), read, of, *vocabulary);
}

RC_GTEST_PROP(token_grammar_property, a_mask_is_what_each_token_alone_would_say, ()) {
  check_masks_along_a_text(rules_of_any_kind());
}

RC_GTEST_PROP(token_grammar_property, a_mask_counts_the_characters_of_strings, ()) {
  check_masks_along_a_text(rules_of_short_strings());
}

RC_GTEST_PROP(token_grammar_property, forced_bytes_are_those_that_every_text_goes_on_with, ()) {
  const auto rules = any_rules();
  auto compiled = automaton::compile(rules);
  if (!compiled)
    return;
  constexpr std::size_t n_most = 6;
  const auto vocabulary = std::make_shared<const vocabulary_trie>(any_vocabulary());
  const grammar_cursor cursor{std::make_shared<token_grammar>(std::move(*compiled), vocabulary)};
  const auto forced = cursor.forced_bytes(n_most);
  const naive_language language{rules, n_most};
  for (const auto& text : language.of_root())
    RC_ASSERT(text.starts_with(forced)); // so it does not go on where a text ends
  RC_ASSERT(forced.size() <= n_most);
}

RC_GTEST_PROP(token_grammar_property, a_draft_loses_exactly_what_does_not_fit, ()) {
  auto compiled = automaton::compile(rules_of_any_kind());
  if (!compiled)
    return;
  const auto vocabulary = any_vocabulary();
  const grammar_cursor cursor{std::make_shared<token_grammar>(
      std::move(*compiled), std::make_shared<const vocabulary_trie>(vocabulary))};
  draft_tree draft;
  const int n = *rc::gen::inRange(0, 14);
  for (int i = 0; i < n; ++i)
    draft.nodes.push_back({*rc::gen::element<token_id>(1 + 'a', 1 + 'b', 1 + '{', 1 + '"', 1 + '}', 1 + '<',
                                                       1 + '1', 0, vocabulary->vocabulary_size() - 1),
                           *rc::gen::inRange(-1, i), 0.5F});
  const auto kept = cut_by_grammar(draft, cursor);
  const auto path_of = [](const draft_tree& tree, int node) {
    std::vector<token_id> path;
    for (; node >= 0; node = tree.nodes[static_cast<std::size_t>(node)].parent)
      path.insert(path.begin(), tree.nodes[static_cast<std::size_t>(node)].token);
    return path;
  };
  std::vector<std::vector<token_id>> expected;
  for (int i = 0; i < n; ++i) {
    std::optional<grammar_cursor> at = cursor;
    for (const auto token : path_of(draft, i))
      at = at ? at->after(token) : std::nullopt;
    if (at)
      expected.push_back(path_of(draft, i));
  }
  RC_ASSERT(kept.nodes.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    RC_ASSERT(path_of(kept, static_cast<int>(i)) == expected[i]);
}

RC_GTEST_PROP(token_grammar_property, logits_of_forbidden_tokens_alone_are_gone, ()) {
  const auto n = *rc::gen::inRange<std::size_t>(1, 300);
  token_mask mask(*rc::gen::inRange<std::size_t>(0, 6));
  for (auto& word : mask)
    word = *rc::gen::element<std::uint64_t>(0, ~std::uint64_t{0}, *rc::gen::arbitrary<std::uint64_t>());
  std::vector<float> logits(n, 1.5F);
  forbid_all_but(mask, logits);
  for (std::size_t i = 0; i < n; ++i)
    RC_ASSERT(logits[i] ==
              (allows(mask, static_cast<token_id>(i)) ? 1.5F : -std::numeric_limits<float>::infinity()));
}

TEST(token_grammar, a_hostile_grammar_gives_up_instead_of_taking_long) {
  rules of;
  auto part =
      sequence({repeated(one_of("ab"), 0, unlimited), bytes("a"), repeated(one_of("ab"), 1'000, 1'000)});
  of.root = of.add("root", std::move(part));
  std::vector<std::string> pieces;
  for (unsigned i = 0; i < 4'096; ++i) { // every text of twelve letters
    pieces.emplace_back();
    for (int bit = 0; bit < 12; ++bit)
      pieces.back() += (i >> bit & 1) != 0 ? 'a' : 'b';
  }
  const auto vocabulary = std::make_shared<const vocabulary_trie>(std::make_shared<listed_tokens>(pieces));
  std::optional<grammar_cursor> cursor{
      std::make_shared<token_grammar>(std::move(*automaton::compile(of)), vocabulary)};
  for (int step = 0; step < 90 && cursor && cursor->mask(); ++step)
    cursor = cursor->after(4'095 - step);
  ASSERT_TRUE(cursor);
  EXPECT_EQ(cursor->mask(), nullptr);
}

TEST(grammar_library, what_is_asked_for_again_is_not_compiled_again) {
  grammar_library library{std::make_shared<listed_tokens>(std::vector<std::string>{"a", "1"}), 2};
  const output_grammar digits{language::regex, "[0-9]+"};
  const auto first = library.find_or_compile(digits);
  ASSERT_TRUE(first);
  EXPECT_EQ(*library.find_or_compile(digits), *first);
  EXPECT_FALSE(library.find_or_compile({language::regex, "("}));
  EXPECT_FALSE(library.find_or_compile({language::regex, std::string(300'000, 'a')}));
  EXPECT_TRUE(library.find_or_compile({language::json_object, ""}));
  EXPECT_TRUE(library.find_or_compile({language::choice, R"(["a"])"}));
  EXPECT_NE(*library.find_or_compile(digits), *first) << "two are kept";
}

} // namespace
} // namespace souffleur
