// Beside a model that looks at all texts.
#include "engine/cache/wording_index.hpp"
#include "policies/wording.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>

namespace souffleur {
namespace {

std::string any_text() {
  // Some words are in most texts, some in few.
  constexpr std::array words = {"moon",  "river", "glass", "lion", "bridge", "harp",
                                "cloud", "the",   "of",    "7",    "12"};
  std::string text;
  const int n = *rc::gen::inRange(0, 7);
  for (int i = 0; i < n; ++i) {
    const auto a = *rc::gen::inRange<std::size_t>(0, words.size());
    const auto b = *rc::gen::inRange<std::size_t>(0, words.size());
    text += std::string{words[std::min(a, b)]} + " ";
  }
  return text;
}

bool contains(const std::vector<std::uint64_t>& words, std::uint64_t one) {
  return std::ranges::find(words, one) != words.end();
}

/// By text, the share of the question's weight that it covers.
std::map<vector_id, double> covers(const std::map<vector_id, std::string>& texts,
                                   const std::string& question) {
  const auto asked = content_words(question);
  std::vector<double> weights;
  double all = 0;
  for (const auto one : asked) {
    const auto n_with = std::ranges::count_if(
        texts, [&](const auto& text) { return contains(content_words(text.second), one); });
    weights.push_back(
        std::log((static_cast<double>(texts.size()) + 101) / (static_cast<double>(n_with) + 0.5)));
    all += weights.back();
  }
  std::map<vector_id, double> found;
  for (const auto& [id, text] : texts) {
    const auto there = content_words(text);
    double sum = 0;
    for (std::size_t i = 0; i < asked.size(); ++i)
      sum += contains(there, asked[i]) ? weights[i] : 0;
    found[id] = sum / all;
  }
  return found;
}

RC_GTEST_PROP(WordingIndex, FindsTheTextsThatCoverThatShareOfTheQuestion, ()) {
  wording_index index;
  std::map<vector_id, std::string> texts;
  const int n_steps = *rc::gen::inRange(1, 60);
  for (int i = 0; i < n_steps; ++i) {
    const auto id = *rc::gen::inRange<vector_id>(0, 20);
    if (*rc::gen::inRange(0, 3) == 0) {
      index.erase(id);
      texts.erase(id);
    } else if (const auto text = any_text(); texts.emplace(id, text).second) {
      index.add(id, text);
    }
    RC_ASSERT(index.size() == texts.size());
    const auto question = any_text();
    const double share = *rc::gen::inRange(1, 101) / 100.0;
    const auto most = *rc::gen::inRange<std::size_t>(0, 25);
    const auto found = index.covering(question, share, most);
    if (content_words(question).empty()) {
      RC_ASSERT(!found);
      continue;
    }
    const auto model = covers(texts, question);
    const auto sure = [&](double by) {
      return static_cast<std::size_t>(
          std::ranges::count_if(model, [&](const auto& one) { return one.second >= share + by; }));
    };
    if (!found) {
      RC_ASSERT(sure(-1e-6) > most);
      continue;
    }
    RC_ASSERT(found->size() <= most);
    RC_ASSERT((found->size() >= sure(1e-6)) && (found->size() <= sure(-1e-6)));
    std::set<vector_id> seen;
    double before = 2;
    for (const auto& [which, cover] : *found) {
      RC_ASSERT(seen.insert(which).second);
      RC_ASSERT(std::abs(model.at(which) - cover) < 1e-9);
      RC_ASSERT(cover <= before);
      before = cover;
    }
  }
  RC_ASSERT(index.check_integrity());
}

TEST(WordingIndex, DoesNotSayWhereItWouldTakeTooLongToTell) {
  wording_index index;
  const vector_id n = wording_index::most_looked_at + 1;
  for (vector_id id = 0; id < n; ++id) {
    index.add(2 * id, "moon");
    index.add(2 * id + 1, "glass");
  }
  EXPECT_FALSE(index.covering("moon glass", 0.9, 5)) << "none does, but it has to look at all";
  EXPECT_TRUE(index.covering("river lion moon", 0.9, 5)->empty()) << "the rare words tell";
  EXPECT_TRUE(index.check_integrity());
  for (vector_id id = 0; id < 2 * n; ++id)
    index.erase(id);
  EXPECT_TRUE(index.covering("moon glass", 0.9, 5)->empty());
  EXPECT_TRUE(index.check_integrity());
}

TEST(WordingIndex, InAnEmptyOneNothingCoversAnything) {
  EXPECT_TRUE(wording_index{}.covering("moon", 0.01, 5)->empty());
}

} // namespace
} // namespace souffleur
