#include "policies/lexical_guards.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <regex>

using namespace souffleur;

namespace {

struct pair_of_questions {
  std::string a;
  std::string b;
  std::string category;
  bool is_trap = false;
  bool is_held_out = false;
};

const std::vector<pair_of_questions>& guard_pairs() {
  static const auto all = [] {
    std::vector<pair_of_questions> pairs;
    std::ifstream file{SOUFFLEUR_SOURCE "/tests/data/guard_pairs.jsonl"};
    for (std::string line; std::getline(file, line);) {
      const auto row = boost::json::parse(line).as_object();
      const auto text = [&](std::string_view key) { return std::string{row.at(key).as_string()}; };
      pairs.push_back(
          {text("a"), text("b"), text("category"), text("label") == "trap", row.at("held_out").as_bool()});
    }
    return pairs;
  }();
  return all;
}

struct share {
  int n = 0;
  int n_refused = 0;
  double refused() const { return static_cast<double>(n_refused) / n; }
};

share share_of(const std::function<bool(const pair_of_questions&)>& counts) {
  share made;
  for (const auto& pair : guard_pairs())
    if (counts(pair)) {
      ++made.n;
      made.n_refused += compare(pair.a, pair.b).passes() ? 0 : 1;
    }
  return made;
}

/// A question of some length that somebody might ask.
std::string any_question() { return (*rc::gen::elementOf(guard_pairs())).a; }

std::string any_name() {
  return *rc::gen::element<std::string>("Paris", "Tolstoy", "Nintendo", "Kyoto", "Ravel", "Zurich",
                                        "Vermeer");
}

std::string with_first(std::string text, const std::string& pattern, const std::string& replacement) {
  return std::regex_replace(text, std::regex{pattern}, replacement, std::regex_constants::format_first_only);
}

struct change {
  const char* name;
  std::function<std::string(const std::string&)> make; ///< the same text: it does not apply
};

/// Each makes another question of any question.
const std::vector<change>& traps() {
  static const std::vector<change> all = {
      {"digit",
       [](std::string text) {
         const auto digit =
             std::find_if(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
         if (digit != text.end())
           *digit = *digit == '9' ? '3' : static_cast<char>(*digit + 1);
         return text;
       }},
      {"year", [](const std::string& text) { return text + " In 1987, that is."; }},
      {"not",
       [](const std::string& text) {
         return with_first(text, "^(Is|Are|Can|Do|Does|Should) (\\w+)", "$1 $2 not");
       }},
      {"no not", [](const std::string& text) { return with_first(text, " not ", " "); }},
      {"n't", [](const std::string& text) { return with_first(text, "n't ", " "); }},
      {"after", [](const std::string& text) { return with_first(text, " before ", " after "); }},
      {"all", [](const std::string& text) { return with_first(text, " some ", " all "); }},
      {"quotation", [](const std::string& text) { return with_first(text, "\"(\\w+)\"", "\"other$1\""); }},
      {"name", [](const std::string& text) { return text + ". It is about Reykjavik."; }},
      {"code", [](const std::string& text) { return with_first(text, "`([^`]+)`", "`$1;`"); }},
      {"flag", [](const std::string& text) { return with_first(text, " -([a-z])", " -q$1"); }},
      {"better", [](const std::string& text) { return with_first(text, "best", "worst"); }},
  };
  return all;
}

/// None of these makes another question of any question.
const std::vector<change>& trifles() {
  static const std::vector<change> all = {
      {"blanks",
       [](const std::string& text) {
         const bool has_code = text.find('`') != std::string::npos; // where blanks count
         return "  " + (has_code ? text : std::regex_replace(text, std::regex{" "}, "  ")) + "\n";
       }},
      {"no mark", [](const std::string& text) { return with_first(text, "[.?!]$", ""); }},
      {"two marks", [](const std::string& text) { return text.ends_with('?') ? text + "?" : text; }},
      {"first letter",
       [](std::string text) {
         if (text.front() >= 'A' && text.front() <= 'Z')
           text.front() = static_cast<char>(text.front() - 'A' + 'a');
         return text;
       }},
      {"please", [](const std::string& text) { return "Please tell me: " + text; }},
      {"not",
       [](const std::string& text) {
         return with_first(text, "\\b(is|does|did|should|has|have)n't", "$1 not");
       }},
      {"what is", [](const std::string& text) { return with_first(text, "^What is ", "What's "); }},
      {"curly", [](const std::string& text) { return std::regex_replace(text, std::regex{"'"}, "\u2019"); }},
  };
  return all;
}

} // namespace

// C5. Planted bug that it caught: guards asked one way only.
RC_GTEST_PROP(LexicalGuards, DoNotCareWhichTextComesFirst, ()) {
  const auto a = any_question();
  const auto& other = *rc::gen::elementOf(guard_pairs());
  const auto b = *rc::gen::element(other.a, other.b, (*rc::gen::elementOf(traps())).make(a));
  RC_ASSERT(compare(a, b).passes() == compare(b, a).passes());
}

// C5. Planted bugs that it caught: no negation, numbers, entities, code, quotations or quantifiers.
RC_GTEST_PROP(LexicalGuards, RefuseWhatMakesAnotherQuestionOfAnyQuestion, ()) {
  const auto a = any_question();
  for (const auto& trap : traps()) {
    RC_LOG() << trap.name << ": " << a << '\n';
    const auto b = trap.make(a);
    RC_ASSERT(a == b || !compare(a, b).passes());
  }
}

// C5. Planted bug that it caught: curly apostrophes not made straight.
RC_GTEST_PROP(LexicalGuards, KeepWhatMakesNoOtherQuestionOfAnyQuestion, ()) {
  const auto a = any_question();
  for (const auto& trifle : trifles()) {
    const auto b = trifle.make(a);
    RC_LOG() << trifle.name << ": " << a << '\n' << compare(a, b).why << '\n';
    RC_ASSERT(compare(a, b).passes());
  }
}

// C5. Planted bug that it caught: words that have changed places told apart by their roles only.
RC_GTEST_PROP(LexicalGuards, RefuseTwoNamesThatHaveChangedPlaces, ()) {
  const auto a = any_name();
  const auto b = *rc::gen::suchThat(rc::gen::exec(any_name), [&](const auto& name) { return name != a; });
  const auto frame =
      *rc::gen::element<std::string>("Is A older than B?", "Did A beat B?", "How do I get from A to B?",
                                     "Was A famous before B?", "What does A owe to B?");
  const auto filled = [&](const std::string& x, const std::string& y) {
    return with_first(with_first(frame, "\\bA\\b", x), "\\bB\\b", y);
  };
  RC_ASSERT(!compare(filled(a, b), filled(b, a)).passes());
  RC_ASSERT(compare(filled(a, b), filled(a, b)).passes());
}

RC_GTEST_PROP(LexicalGuards, TakeAnyBytes, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element(
      'a', 'B', '1', ' ', '\'', '"', '`', '.', '-', '$', '\xc3', '\xe2', '\x80', '\xf0', '\0', '(', '%'));
  RC_ASSERT(compare(text, text).passes());
}

TEST(LexicalGuards, RefuseTheTrapsAndKeepMostHarmlessPairs) {
  ASSERT_GE(guard_pairs().size(), 300U);
  for (const bool held_out : {false, true}) {
    const auto traps = share_of([&](const auto& p) { return p.is_trap && p.is_held_out == held_out; });
    const auto harmless = share_of([&](const auto& p) { return !p.is_trap && p.is_held_out == held_out; });
    EXPECT_GE(traps.refused(), held_out ? 0.98 : 0.99);
    EXPECT_LE(harmless.refused(), 0.40);
  }
  EXPECT_GE(share_of([](const auto& p) { return p.is_trap; }).refused(), 0.99);
}

TEST(LexicalGuards, SayWhatDiffers) {
  const auto verdict = compare("What can I buy for $100?", "What can I buy for \u20AC100?");
  EXPECT_EQ(verdict.refused_by, guard::unit);
  EXPECT_EQ(verdict.why, "eur, usd");
  EXPECT_EQ(compare("Is it legal?", "Is it illegal?").why, "legal/illegal");
  EXPECT_EQ(compare("Are red cars safe?", "Are blue cars safe?").refused_by, guard::entity);
  EXPECT_TRUE(compare("Are red and blue cars safe?", "Are blue and red cars safe?").passes());
  EXPECT_EQ(compare("What are the pros of it?", "What are the pros and cons of it?").refused_by,
            guard::comparative);
  EXPECT_EQ(to_string(compare("Who is he?", "When is he?").refused_by), "question");
}

TEST(WordingOverlap, CountsWordsThatSaySomething) {
  const auto words =
      overlap(text_signature{"How do I train a puppy?"}, text_signature{"How is a puppy trained well?"});
  EXPECT_EQ(words.n_shared, 2);
  EXPECT_EQ(words.n_only_a, 0);
  EXPECT_EQ(words.n_only_b, 1);
}
