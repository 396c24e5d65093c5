#include "engine/thought_marks.hpp"
#include "tests/engine/tiny_gguf.hpp"

#include <gtest/gtest.h>

namespace souffleur {
namespace {

using namespace souffleur::testing;

constexpr std::int32_t control = 3;
constexpr std::int32_t user_defined = 4;

std::shared_ptr<const thought_marks> marks_of(const tiny_vocabulary& vocabulary) {
  const auto bytes = vocabulary.file().bytes();
  const auto file = gguf_file::parse(bytes);
  return find_thought_marks(**tokenizer::from_gguf(**file));
}

TEST(ThoughtMarks, AreTokensOfTheVocabularyControlOrNot) {
  for (const auto kind : {control, user_defined}) {
    tiny_vocabulary vocabulary;
    vocabulary.token("<think>", kind).token("</think>", kind).merged("\u010A", "\u010A");
    const auto marks = marks_of(vocabulary);
    ASSERT_NE(marks, nullptr);
    EXPECT_EQ(marks->begin, 256);
    EXPECT_EQ(marks->end, 257);
    EXPECT_EQ(marks->closing, (std::vector<token_id>{257, 258})) << "an empty line behind it, in one token";
  }
}

TEST(ThoughtMarks, AVocabularyThatSpellsThemOutHasNone) {
  EXPECT_EQ(marks_of({}), nullptr);
  tiny_vocabulary half;
  half.token("<think>", control).token("[/THINK]", control);
  EXPECT_EQ(marks_of(half), nullptr);
}

TEST(ThoughtMarks, OtherFamiliesSpellThemOtherwise) {
  tiny_vocabulary vocabulary;
  vocabulary.token("[THINK]", control).token("[/THINK]", control);
  const auto marks = marks_of(vocabulary);
  ASSERT_NE(marks, nullptr);
  EXPECT_EQ(marks->closing, (std::vector<token_id>{257, '\n', '\n'}));
}

} // namespace
} // namespace souffleur
