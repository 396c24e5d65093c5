// all-MiniLM-L6-v2 against the reference's ids, embeddings and cosines. Skipped where the model is missing.
#include "engine/embedding/text_embedder.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <numeric>

namespace souffleur {
namespace {

struct golden_row {
  std::string text;
  std::vector<token_id> ids;
  std::vector<float> embedding;
};

std::vector<boost::json::object> lines_of(const char* name) {
  std::ifstream in{std::string{SOUFFLEUR_GOLDEN} + "/" + name};
  std::vector<boost::json::object> rows;
  for (std::string line; std::getline(in, line);)
    rows.push_back(boost::json::parse(line).as_object());
  EXPECT_FALSE(rows.empty()) << name;
  return rows;
}

const std::vector<golden_row>& golden() {
  static const auto rows = [] {
    std::vector<golden_row> read;
    for (const auto& line : lines_of("minilm.jsonl"))
      read.push_back({std::string{line.at("text").as_string()},
                      boost::json::value_to<std::vector<token_id>>(line.at("ids")),
                      boost::json::value_to<std::vector<float>>(line.at("embedding"))});
    return read;
  }();
  return rows;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  const auto dot = [](const auto& x, const auto& y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  };
  return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}

std::shared_ptr<text_embedder> loaded(const embedder_options& options) {
  const auto folder = std::string{SOUFFLEUR_MODELS} + "/minilm";
  if (!std::ifstream{folder + "/model.safetensors"})
    return nullptr;
  const auto files = open_embedder(folder);
  EXPECT_TRUE(files.ok()) << files.error();
  auto made = load_embedder(*files, options);
  EXPECT_TRUE(made.ok()) << made.error();
  return *made;
}

std::vector<std::vector<float>> embedded(text_embedder& embedder, const std::vector<golden_row>& rows) {
  std::vector<std::span<const token_id>> texts;
  for (const auto& row : rows)
    texts.emplace_back(row.ids);
  return embedder.embed(texts);
}

/// The least cosine to the reference over all rows.
double least_cosine(const std::vector<std::vector<float>>& vectors) {
  double least = 1;
  for (std::size_t i = 0; i < vectors.size(); ++i)
    least = std::min(least, cosine(vectors[i], golden()[i].embedding));
  return least;
}

/// The largest difference to the reference's cosines of pairs.
double largest_pair_difference(const std::vector<std::vector<float>>& vectors) {
  double largest = 0;
  for (const auto& pair : lines_of("minilm_pairs.jsonl")) {
    const auto at = [&](const char* side) -> const std::vector<float>& {
      return vectors.at(static_cast<std::size_t>(pair.at(side).as_int64()));
    };
    largest = std::max(largest, std::abs(cosine(at("a"), at("b")) - pair.at("cosine").to_number<double>()));
  }
  return largest;
}

#define SKIP_WITHOUT_MODEL(embedder)                                                                         \
  if (!(embedder))                                                                                           \
  GTEST_SKIP() << "conf/get_model.py minilm fetches it"

TEST(EmbeddingGolden, every_text_has_the_references_ids) {
  const auto embedder = loaded({});
  SKIP_WITHOUT_MODEL(embedder);
  for (const auto& row : golden())
    EXPECT_EQ(embedder->encode(row.text).ids, row.ids) << row.text;
}

TEST(EmbeddingGolden, the_vectors_are_the_references) {
  const auto embedder = loaded({});
  SKIP_WITHOUT_MODEL(embedder);
  const auto vectors = embedded(*embedder, golden());
  const auto cosine = least_cosine(vectors);
  const auto difference = largest_pair_difference(vectors);
  std::cout << "least cosine to the reference 1 - " << 1 - cosine << ", cosines of pairs differ by at most "
            << difference << '\n';
  EXPECT_GE(cosine, 0.999999);
  EXPECT_LE(difference, 1e-5);
  EXPECT_EQ(vectors.front().size(), 384U);
}

TEST(EmbeddingGolden, every_instruction_set_gives_the_references_vectors) {
  std::vector<golden_row> some;
  for (std::size_t i = 0; i < golden().size(); i += 25)
    some.push_back(golden()[i]);
  for (const auto level : available_isas()) {
    const auto embedder = loaded({1, level});
    SKIP_WITHOUT_MODEL(embedder);
    const auto vectors = embedded(*embedder, some);
    for (std::size_t i = 0; i < some.size(); ++i)
      EXPECT_GE(cosine(vectors[i], some[i].embedding), 0.999999) << to_string(level) << ": " << some[i].text;
  }
}

TEST(EmbeddingGolden, a_text_has_the_same_bits_alone_and_among_others_on_one_thread_and_on_two) {
  const auto one = loaded({1, best_isa()});
  SKIP_WITHOUT_MODEL(one);
  const auto two = loaded({2, best_isa()});
  EXPECT_EQ(one->fingerprint(), two->fingerprint());
  const auto all = embedded(*two, golden());
  for (std::size_t i = 0; i < golden().size(); i += 9)
    EXPECT_EQ(embedded(*one, {golden()[i]}).front(), all[i]) << golden()[i].text;
}

} // namespace
} // namespace souffleur
