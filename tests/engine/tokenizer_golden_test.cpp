// Every string of the golden data, against the published GGUF vocabularies. Skipped where a model is
// missing.
#include "engine/tokenizer.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <fstream>

namespace souffleur {
namespace {

struct golden_case {
  const char* model;
  const char* strings;
  const char* chats;
};
const golden_case smollm2{"SmolLM2-135M-Instruct.Q4_1.gguf", "tokenizer_smollm2", "chat_smollm2"};
const golden_case qwen2{"Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf", "tokenizer_qwen2", "chat_qwen2"};
const golden_case gemma3{"gemma-3-270m.Q4_K_M.gguf", "tokenizer_gemma3", nullptr};

/// Null if the file is not there.
std::shared_ptr<const tokenizer> loaded(const golden_case& which) {
  const auto path = std::string{SOUFFLEUR_MODELS} + "/" + which.model;
  if (!std::ifstream{path})
    return nullptr;
  const auto file = gguf_file::open(path);
  EXPECT_TRUE(file.ok()) << file.error();
  const auto made = tokenizer::from_gguf(**file);
  EXPECT_TRUE(made.ok()) << made.error();
  return *made;
}

std::vector<boost::json::object> rows_of(const char* name) {
  std::ifstream in{std::string{SOUFFLEUR_GOLDEN} + "/" + name + ".jsonl"};
  std::vector<boost::json::object> rows;
  for (std::string line; std::getline(in, line);)
    rows.push_back(boost::json::parse(line).as_object());
  EXPECT_FALSE(rows.empty()) << name;
  return rows;
}

std::vector<token_id> ids_of(const boost::json::value& array) {
  std::vector<token_id> ids;
  for (const auto& id : array.as_array())
    ids.push_back(id.to_number<token_id>());
  return ids;
}

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16));
  return bytes;
}

/// The ids under `field` that the second reference gives where it differs, else the first reference's.
std::vector<token_id> expected_ids(const boost::json::object& row, const char* field) {
  if (const auto* other = row.if_contains("other_reference"))
    if (const auto* ids = other->as_object().if_contains(field))
      return ids_of(*ids);
  const auto* ids = row.if_contains(field);
  return ids_of(ids ? *ids : row.at("ids"));
}

void strings_match(const golden_case& which) {
  const auto words = loaded(which);
  if (!words)
    GTEST_SKIP() << which.model << " is not there";
  for (const auto& row : rows_of(which.strings)) {
    const auto* raw = row.if_contains("bytes_hex");
    const std::string text{row.at("text").as_string()};
    const auto input = raw ? bytes_of(raw->as_string()) : text;
    EXPECT_EQ(words->encode(input, false), expected_ids(row, "ids")) << row.at("id");
    EXPECT_EQ(words->encode(input, true), expected_ids(row, "ids_special")) << row.at("id");
  }
}

void pieces_match(const golden_case& which) {
  const auto words = loaded(which);
  if (!words)
    GTEST_SKIP() << which.model << " is not there";
  for (const auto& row : rows_of(which.strings)) {
    const auto ids = ids_of(row.contains("ids_special") ? row.at("ids_special") : row.at("ids"));
    const auto& pieces = row.at("pieces_hex").as_array();
    ASSERT_EQ(pieces.size(), ids.size()) << row.at("id");
    for (std::size_t i = 0; i < ids.size(); ++i)
      EXPECT_EQ(words->piece(ids[i]), bytes_of(pieces[i].as_string())) << row.at("id") << " token " << i;
    EXPECT_EQ(words->decode(ids, true), row.at("text").as_string()) << row.at("id");
  }
}

void chats_match(const golden_case& which) {
  const auto words = loaded(which);
  if (!words)
    GTEST_SKIP() << which.model << " is not there";
  for (const auto& row : rows_of(which.chats))
    EXPECT_EQ(words->encode(row.at("prompt").as_string(), true), expected_ids(row, "ids")) << row.at("id");
}

TEST(Smollm2Tokenizer, GivesTheReferenceIdsOfEveryGoldenString) { strings_match(smollm2); }
TEST(Smollm2Tokenizer, GivesTheReferenceBytesOfEveryGoldenToken) { pieces_match(smollm2); }
TEST(Smollm2Tokenizer, GivesTheReferenceIdsOfEveryGoldenChat) { chats_match(smollm2); }
TEST(Qwen2Tokenizer, GivesTheReferenceIdsOfEveryGoldenString) { strings_match(qwen2); }
TEST(Qwen2Tokenizer, GivesTheReferenceBytesOfEveryGoldenToken) { pieces_match(qwen2); }
TEST(Qwen2Tokenizer, GivesTheReferenceIdsOfEveryGoldenChat) { chats_match(qwen2); }
TEST(Gemma3Tokenizer, GivesTheReferenceIdsOfEveryGoldenString) { strings_match(gemma3); }
TEST(Gemma3Tokenizer, GivesTheReferenceBytesOfEveryGoldenToken) { pieces_match(gemma3); }

TEST(Smollm2Tokenizer, KnowsTheModelsSpecialIds) {
  const auto words = loaded(smollm2);
  if (!words)
    GTEST_SKIP() << smollm2.model << " is not there";
  EXPECT_EQ(words->vocabulary_size(), 49152);
  EXPECT_EQ(words->bos(), 1);
  EXPECT_FALSE(words->adds_bos());
  EXPECT_EQ(std::vector<token_id>(words->end_tokens().begin(), words->end_tokens().end()),
            (std::vector<token_id>{2, 0}));
}

TEST(Qwen2Tokenizer, KnowsTheModelsSpecialIds) {
  const auto words = loaded(qwen2);
  if (!words)
    GTEST_SKIP() << qwen2.model << " is not there";
  EXPECT_EQ(words->vocabulary_size(), 151936);
  EXPECT_EQ(words->bos(), 151643);
  EXPECT_FALSE(words->adds_bos());
  EXPECT_EQ(std::vector<token_id>(words->end_tokens().begin(), words->end_tokens().end()),
            (std::vector<token_id>{151645, 151643}));
  EXPECT_FALSE(words->is_control(151657)) << "<tool_call> is text";
}

TEST(Gemma3Tokenizer, KnowsTheModelsSpecialIds) {
  const auto words = loaded(gemma3);
  if (!words)
    GTEST_SKIP() << gemma3.model << " is not there";
  EXPECT_EQ(words->vocabulary_size(), 262144);
  EXPECT_EQ(words->bos(), 2);
  EXPECT_TRUE(words->adds_bos());
  EXPECT_EQ(std::vector<token_id>(words->end_tokens().begin(), words->end_tokens().end()),
            (std::vector<token_id>{1, 106}));
  EXPECT_TRUE(words->is_control(105)) << "<start_of_turn>";
  EXPECT_EQ(words->piece(238 + 0xC3), "\xC3");
}

} // namespace
} // namespace souffleur
