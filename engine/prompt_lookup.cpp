#include "engine/prompt_lookup.hpp"

#include <algorithm>

namespace souffleur {
namespace {

/// Two n-grams with the same 64-bit hash share an entry; propose() compares the tokens, so a collision can
/// only hide an occurrence, never invent one.
std::uint64_t hash_of(std::span<const token_id> gram) {
  std::uint64_t hash = 0x9E3779B97F4A7C15ULL;
  for (const token_id token : gram) {
    hash ^= static_cast<std::uint32_t>(token);
    hash *= 0xBF58476D1CE4E5B9ULL;
    hash ^= hash >> 29;
  }
  return hash;
}

} // namespace

void prompt_lookup::append(std::span<const token_id> tokens) {
  for (const token_id token : tokens) {
    context_.push_back(token);
    const std::span<const token_id> context(context_);
    for (std::size_t i = 0; i < orders_.size(); ++i) {
      const auto order = static_cast<std::size_t>(orders_[i]);
      if (context.size() >= order) {
        auto& seen = index_[i][hash_of(context.last(order))];
        seen.previous = seen.latest;
        seen.latest = static_cast<std::int32_t>(context.size());
      }
    }
  }
}

std::vector<token_id> prompt_lookup::propose(int n_max) const {
  const std::span<const token_id> context(context_);
  for (std::size_t i = 0; i < orders_.size() && n_max > 0; ++i) {
    const auto order = static_cast<std::size_t>(orders_[i]);
    if (context.size() <= order) {
      continue;
    }
    const auto gram = context.last(order);
    const auto seen = index_[i].find(hash_of(gram));
    if (seen == index_[i].end() || seen->second.previous < 0) {
      continue;
    }
    const auto after = static_cast<std::size_t>(seen->second.previous);
    if (!std::ranges::equal(context.subspan(after - order, order), gram)) {
      continue;
    }
    const auto found =
        context.subspan(after, std::min(static_cast<std::size_t>(n_max), context.size() - after));
    return {found.begin(), found.end()};
  }
  return {};
}

} // namespace souffleur
