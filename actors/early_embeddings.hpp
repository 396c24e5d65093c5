// Questions that are embedded while their answers are generated, so that nobody waits for it.
#pragma once

#include "actors/messages/response_cache.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace souffleur {

using embedding_ptr = std::shared_ptr<const std::vector<float>>;

/// Answer and embedding come in either order; the later one brings both out.
class early_embeddings {
public:
  struct complete {
    cache_insertion_ptr insertion;
    embedding_ptr embedding; ///< null: it could not be made
  };

  /// Answers that never come to be stored leave their questions here: then the oldest goes. Returned if its
  /// answer is there.
  std::optional<complete> add(std::uint64_t ticket, std::string question);
  /// Text to embed now; nothing if that has been said, or the ticket is unknown.
  std::optional<std::string> begin(std::uint64_t ticket);
  std::optional<complete> embedded(std::uint64_t ticket, embedding_ptr embedding);
  /// REQUIRES: contains(ticket).
  std::optional<complete> answered(std::uint64_t ticket, cache_insertion_ptr insertion);

  bool contains(std::uint64_t ticket) const { return questions_.contains(ticket); }
  /// Drops the answers of one tenant.
  void forget(const key_digest& owner);
  std::size_t size() const { return questions_.size(); }

  static constexpr std::size_t most = 1024;

private:
  struct question {
    std::string text;
    cache_insertion_ptr insertion; ///< null: the answer is not there yet
    bool has_begun = false;
    bool is_embedded = false;
    embedding_ptr embedding;
  };
  std::optional<complete> take_if_complete(std::uint64_t ticket);

  std::map<std::uint64_t, question> questions_; ///< by ticket: the oldest first
};

} // namespace souffleur
