#include "engine/drafting/prompt_lookup.hpp"

#include "engine/drafting/match_trust.hpp"

#include <algorithm>
#include <bit>

namespace souffleur {
namespace {

constexpr std::uint64_t base = 0x9E3779B97F4A7C15ULL; // odd, so no power of it is 0

constexpr auto powers_of_base = [] {
  std::array<std::uint64_t, 9> powers = {1};
  for (std::size_t i = 1; i < powers.size(); ++i) {
    powers[i] = powers[i - 1] * base;
  }
  return powers;
}();

/// N-grams that share a bucket with the one looked for, and are passed over before a lookup gives up. Chance
/// makes one or two; somebody who knows the hash function could make a bucket of all.
constexpr int n_tries = 64;

} // namespace

prompt_lookup::prompt_lookup(std::size_t n_window)
    : n_window_(std::bit_ceil(std::max<std::size_t>(n_window, 64))) {}

void prompt_lookup::append(std::span<const token_id> tokens) {
  for (const auto token : tokens) {
    if (text_.size() == n_window_) {
      text_.drop_before(text_.begin() + 1);
    }
    text_.push(token);
    if (text_.capacity() != grams_.front().latest.size()) {
      rebuild();
    } else {
      index(text_.end());
    }
  }
}

draft_tree prompt_lookup::propose(int n_max) const {
  draft_tree draft;
  draft.origin = token_origin::prompt_lookup;
  for (std::size_t i = 0; i < orders_.size(); ++i) {
    if (const auto after = find(i)) {
      draft.match_length = static_cast<int>(n_alike(*after, longest_match));
      for (auto n = 0; n < n_max; ++n) {
        const auto position = *after + static_cast<std::uint32_t>(n);
        const auto token =
            position < text_.end() ? text_[position] : draft.nodes[position - text_.end()].token;
        draft.nodes.push_back({token, n - 1, match_trust(draft.match_length + n)});
      }
      break;
    }
  }
  return draft;
}

std::size_t prompt_lookup::bytes() const {
  return text_.bytes() + 2 * orders_.size() * text_.capacity() * sizeof(std::uint32_t);
}

/// Puts the n-grams that end before `end` into their chains.
void prompt_lookup::index(std::uint32_t end) {
  hashes_[end % n_hashes_] =
      hashes_[(end - 1) % n_hashes_] * base + static_cast<std::uint32_t>(text_[end - 1]) + 1;
  for (std::size_t i = 0; i < orders_.size(); ++i) {
    if (end - text_.begin() >= orders_[i]) {
      auto& latest = grams_[i].latest[bucket(orders_[i], end)];
      grams_[i].before[end & (text_.capacity() - 1)] = latest;
      latest = end;
    }
  }
}

/// After the text's capacity grew.
void prompt_lookup::rebuild() {
  for (auto& one : grams_) {
    one.latest.assign(text_.capacity(), 0);
    one.before.assign(text_.capacity(), 0);
  }
  for (auto end = text_.begin(); end != text_.end();) {
    index(++end);
  }
}

/// A polynomial hash of the last tokens is the difference of two of all tokens.
std::size_t prompt_lookup::bucket(std::uint32_t order, std::uint32_t end) const {
  const auto hash = hashes_[end % n_hashes_] - hashes_[(end - order) % n_hashes_] * powers_of_base[order];
  return ((hash ^ (hash >> 32)) * 0xBF58476D1CE4E5B9ULL) >> (64 - std::countr_zero(text_.capacity()));
}

/// Position after the most recent earlier occurrence of the last orders_[which] tokens.
std::optional<std::uint32_t> prompt_lookup::find(std::size_t which) const {
  const auto order = orders_[which];
  if (text_.size() <= order) {
    return std::nullopt;
  }
  const auto& before = grams_[which].before;
  const auto mask = text_.capacity() - 1;
  auto end = before[text_.end() & mask];
  for (auto n = 0; n < n_tries && end >= text_.begin() + order; ++n) {
    if (n_alike(end, order) == order) {
      return end;
    }
    end = before[end & mask];
  }
  return std::nullopt;
}

/// How many tokens before `end` are those at the end of the text.
std::uint32_t prompt_lookup::n_alike(std::uint32_t end, std::uint32_t n_max) const {
  const auto n_most = std::min(n_max, end - text_.begin());
  std::uint32_t n = 0;
  while (n < n_most && text_[end - 1 - n] == text_[text_.end() - 1 - n]) {
    ++n;
  }
  return n;
}

} // namespace souffleur
