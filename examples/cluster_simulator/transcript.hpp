// What was said in a conversation, as a prefix cache sees it: names of pages.
#pragma once

#include "policies/eviction_policy.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace souffleur::cluster_simulation {

/// Text stands for tokens: so many bytes are one, on the mean.
struct text_measure {
  double bytes_a_token = 4.3;
  int message_tokens = 4; ///< that a chat template adds to each message
  int prompt_tokens = 20; ///< and to each prompt: its default system message, the turn to answer
};

inline std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
  return bits ^ (bits >> 31U);
}

/// Grows at its end. Equal beginnings have equal pages.
class transcript {
public:
  static constexpr int page_tokens = 16;

  explicit transcript(const text_measure& measure) : measure_(measure) { add_tokens(measure.prompt_tokens); }

  /// A message, or an answer that nobody has given before if `text` names it uniquely and `n_tokens` says its
  /// length.
  void say(std::string_view text) {
    add_tokens(measure_.message_tokens);
    for (const char c : text) {
      hash_ = mixed(hash_ + static_cast<unsigned char>(c) + 1);
      add(1 / measure_.bytes_a_token);
    }
  }
  void answer(std::uint64_t name, int n_tokens) {
    add_tokens(measure_.message_tokens);
    hash_ = mixed(hash_ ^ mixed(name + 1));
    add_tokens(n_tokens);
  }

  int n_tokens() const { return std::max(1, static_cast<int>(n_tokens_)); }
  /// Whole ones only.
  const std::vector<page_hash>& pages() const { return pages_; }

private:
  void add_tokens(int n) {
    for (int i = 0; i < n; ++i) {
      hash_ = mixed(hash_ + 1);
      add(1);
    }
  }
  void add(double n) {
    n_tokens_ += n;
    if (n_tokens_ >= static_cast<double>(page_tokens * (pages_.size() + 1)))
      pages_.push_back(hash_);
  }

  text_measure measure_;
  std::uint64_t hash_ = 0x9e3779b97f4a7c15U;
  double n_tokens_ = 0;
  std::vector<page_hash> pages_;
};

} // namespace souffleur::cluster_simulation
