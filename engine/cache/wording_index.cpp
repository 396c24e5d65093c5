#include "engine/cache/wording_index.hpp"

#include "policies/wording.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace souffleur {

void wording_index::add(vector_id id, std::string_view text) {
  const auto [at, is_new] = words_of_.try_emplace(id, content_words(text));
  if (!is_new)
    return;
  at->second.shrink_to_fit();
  for (const auto word : at->second) {
    auto& found = texts_with_[word];
    if (++found.n_texts > most_looked_at && !found.is_common) {
      found.is_common = true;
      found.texts = {};
    }
    if (!found.is_common)
      found.texts.push_back(id);
  }
}

void wording_index::erase(vector_id id) {
  const auto at = words_of_.find(id);
  if (at == words_of_.end())
    return;
  for (const auto word : at->second) {
    const auto found = texts_with_.find(word);
    auto& [n_texts, is_common, texts] = found->second;
    if (!is_common)
      texts.erase(std::ranges::find(texts, id));
    if (--n_texts == 0)
      texts_with_.erase(found);
  }
  words_of_.erase(at);
}

double wording_index::weight_of(std::size_t n_texts) const {
  return std::log((static_cast<double>(words_of_.size()) + 101) / (static_cast<double>(n_texts) + 0.5));
}

double wording_index::weight_in(std::span<const word> there, std::span<const word> words,
                                std::span<const double> weights) {
  double sum = 0;
  for (std::size_t i = 0; i < words.size(); ++i)
    if (std::ranges::binary_search(there, words[i]))
      sum += weights[i];
  return sum;
}

std::optional<std::vector<wording_match>> wording_index::covering(std::string_view question, double share,
                                                                  std::size_t most) const {
  auto words = content_words(question);
  if (words.empty())
    return std::nullopt;
  const auto n_with = [&](word one) {
    const auto at = texts_with_.find(one);
    return at == texts_with_.end() ? std::size_t{0} : at->second.n_texts;
  };
  std::ranges::sort(words, {}, n_with);
  std::vector<double> weights;
  weights.reserve(words.size());
  for (const auto one : words)
    weights.push_back(weight_of(n_with(one)));
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double wanted = share * all - 1e-9; // sums in another order round otherwise
  std::vector<wording_match> found;
  std::size_t n_looked_at = 0;
  double left = all;
  for (std::size_t i = 0; i < words.size() && left >= wanted; left -= weights[i++]) {
    const auto at = texts_with_.find(words[i]);
    if (at == texts_with_.end())
      continue;
    n_looked_at += at->second.texts.size();
    if (at->second.is_common || n_looked_at > most_looked_at)
      return std::nullopt;
    for (const auto id : at->second.texts) {
      const auto& there = words_of_.at(id);
      const bool was_seen = std::any_of(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(i),
                                        [&](word one) { return std::ranges::binary_search(there, one); });
      const double sum = was_seen ? 0 : weight_in(there, words, weights);
      if (was_seen || sum < wanted)
        continue;
      if (found.size() == most)
        return std::nullopt;
      found.push_back({id, sum / all});
    }
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) {
    return std::pair{-a.cover, a.id} < std::pair{-b.cover, b.id};
  });
  return found;
}

std::size_t wording_index::bytes_for(std::size_t n_text_bytes) {
  // A word that says something comes with about nine bytes of text and takes 16 here and in a list, and there
  // is a list for every few of them.
  constexpr std::size_t text_bytes_a_word = 9;
  constexpr std::size_t bytes_a_word = 40;
  return 64 + bytes_a_word * std::min(most_content_words, n_text_bytes / text_bytes_a_word + 1);
}

bool wording_index::check_integrity() const {
  std::unordered_map<word, std::size_t> counts;
  for (const auto& [id, words] : words_of_)
    for (const auto one : words) {
      ++counts[one];
      const auto at = texts_with_.find(one);
      if (at == texts_with_.end() || (!at->second.is_common && std::ranges::count(at->second.texts, id) != 1))
        return false;
    }
  return counts.size() == texts_with_.size() && std::ranges::all_of(texts_with_, [&](const auto& one) {
           const auto& [n_texts, is_common, texts] = one.second;
           return counts.at(one.first) == n_texts && (is_common ? texts.empty() : texts.size() == n_texts);
         });
}

} // namespace souffleur
