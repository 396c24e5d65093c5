// An embedder whose vectors tell which text they belong to.
#pragma once

#include "actors/embedding_reply.hpp"
#include "actors/messages/embedding.hpp"
#include "engine/embedding/text_embedder.hpp"

#include <cmath>
#include <string>
#include <vector>

namespace souffleur::testing {

inline constexpr int fake_max_ids = 64;

/// A text's ids are its bytes; its vector is its length, its mean and its first id, made one of length 1.
class fake_embedder final : public text_embedder {
public:
  const std::string& fingerprint() const override { return fingerprint_; }
  int n_dimensions() const override { return 3; }
  int max_ids() const override { return fake_max_ids; }
  wordpieces encode(std::string_view text) const override {
    wordpieces pieces;
    for (const char c : text.substr(0, fake_max_ids))
      pieces.ids.push_back(static_cast<unsigned char>(c));
    pieces.is_truncated = text.size() > static_cast<std::size_t>(fake_max_ids);
    return pieces;
  }
  std::vector<std::vector<float>> embed(std::span<const std::span<const token_id>> texts) override {
    std::size_t n_ids = 0;
    std::vector<std::vector<float>> vectors;
    for (const auto& text : texts) {
      n_ids += text.size();
      vectors.push_back(vector_of(text));
    }
    ids_of_rounds.push_back(n_ids);
    texts_of_rounds.push_back(texts.size());
    return vectors;
  }

  std::vector<float> vector_of(std::span<const token_id> ids) const {
    float sum = 0;
    for (const auto id : ids)
      sum += static_cast<float>(id);
    const auto n = static_cast<float>(ids.size());
    std::vector<float> vector{n + 1, ids.empty() ? 0.0F : sum / n,
                              ids.empty() ? 0.0F : static_cast<float>(ids.front())};
    float square = 0;
    for (const float x : vector)
      square += x * x;
    for (float& x : vector)
      x /= std::sqrt(square);
    return vector;
  }
  std::vector<float> vector_of(const std::string& text) const { return vector_of(encode(text).ids); }

  std::vector<std::size_t> ids_of_rounds;
  std::vector<std::size_t> texts_of_rounds;

private:
  std::string fingerprint_ = "fake";
};

/// Asks for texts, and what came of it.
struct embedding_asker {
  std::vector<std::string> texts;
  std::shared_ptr<const int> presence = std::make_shared<const int>(0); ///< null: has left
  std::vector<embedding_event> events;

  bool is_answered_by(const fake_embedder& embedder) const {
    const auto* answer = events.size() == 1 ? std::get_if<embeddings>(&events.front()) : nullptr;
    if (answer == nullptr || answer->size() != texts.size())
      return false;
    for (std::size_t i = 0; i < texts.size(); ++i)
      if ((*answer)[i].vector != embedder.vector_of(texts[i]) ||
          (*answer)[i].n_ids != static_cast<int>(embedder.encode(texts[i]).ids.size()) ||
          (*answer)[i].is_truncated != embedder.encode(texts[i]).is_truncated)
        return false;
    return true;
  }
  bool has_failed_with(int status) const {
    const auto* failed = events.size() == 1 ? std::get_if<generation_failed>(&events.front()) : nullptr;
    return failed != nullptr && failed->status == status;
  }
};

inline embedding_demand_ptr demand_of(const std::shared_ptr<embedding_asker>& asker,
                                      const std::shared_ptr<admission_credits>& credits,
                                      std::chrono::steady_clock::time_point deadline) {
  const auto n_texts = static_cast<int>(asker->texts.size());
  credits->take("", n_texts);
  const auto sink = [asker](embedding_event event) { asker->events.push_back(std::move(event)); };
  return std::make_shared<const embedding_demand>(
      embedding_demand{asker->texts, deadline, asker->presence,
                       std::make_shared<embedding_reply>(sink, credits, "", n_texts)});
}

} // namespace souffleur::testing
