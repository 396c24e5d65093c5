#include "actors/early_embeddings.hpp"

#include <utility>

namespace souffleur {

std::optional<early_embeddings::complete> early_embeddings::add(std::uint64_t ticket, std::string question) {
  std::optional<complete> displaced;
  if (questions_.size() >= most) {
    auto oldest = questions_.extract(questions_.begin());
    if (oldest.mapped().insertion)
      displaced = complete{std::move(oldest.mapped().insertion), nullptr};
  }
  questions_[ticket].text = std::move(question);
  return displaced;
}

std::optional<std::string> early_embeddings::begin(std::uint64_t ticket) {
  const auto at = questions_.find(ticket);
  if (at == questions_.end() || std::exchange(at->second.has_begun, true))
    return std::nullopt;
  return at->second.text;
}

std::optional<early_embeddings::complete> early_embeddings::embedded(std::uint64_t ticket,
                                                                     embedding_ptr embedding) {
  const auto at = questions_.find(ticket);
  if (at == questions_.end())
    return std::nullopt;
  at->second.is_embedded = true;
  at->second.embedding = std::move(embedding);
  return take_if_complete(ticket);
}

std::optional<early_embeddings::complete> early_embeddings::answered(std::uint64_t ticket,
                                                                     cache_insertion_ptr insertion) {
  questions_.at(ticket).insertion = std::move(insertion);
  return take_if_complete(ticket);
}

std::optional<early_embeddings::complete> early_embeddings::take_if_complete(std::uint64_t ticket) {
  const auto at = questions_.find(ticket);
  if (!at->second.insertion || !at->second.is_embedded)
    return std::nullopt;
  complete both{std::move(at->second.insertion), std::move(at->second.embedding)};
  questions_.erase(at);
  return both;
}

void early_embeddings::forget(const key_digest& owner) {
  std::erase_if(questions_, [&](const auto& one) {
    return one.second.insertion && one.second.insertion->terms->owner == owner;
  });
}

} // namespace souffleur
