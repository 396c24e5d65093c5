// What was said in a conversation, as a prefix cache sees it: names of its beginnings.
#pragma once

#include "policies/eviction_policy.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace souffleur::cluster_simulation {

/// Text stands for tokens: so many bytes are one, on the mean.
struct text_measure {
  double bytes_a_token = 4.3;
  int message_head_tokens = 3;    ///< that a chat template puts before a message: whose it is
  int message_tail_tokens = 2;    ///< and behind it
  int default_system_tokens = 15; ///< of what it says to whom nobody says anything
};

inline std::uint64_t mixed(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
  return bits ^ (bits >> 31U);
}

/// Grows at its end. Equal beginnings have equal names.
class transcript {
public:
  static constexpr int page_tokens = 16;
  /// Between two names: a cache finds the beginning of a page, too, if it is as long.
  static constexpr int mark_tokens = 4;
  static constexpr std::size_t marks_a_page = page_tokens / mark_tokens;

  /// `system` may be empty: then there is the template's own.
  transcript(const text_measure& measure, std::string_view system) : measure_(measure) {
    if (system.empty())
      add_tokens(measure.message_head_tokens + measure.default_system_tokens + measure.message_tail_tokens);
    else
      say(system);
  }

  /// A question, and that it is to be answered.
  void ask(std::string_view question) {
    say(question);
    add_tokens(measure_.message_head_tokens);
  }
  /// After the same words, answers of one name are the same.
  void answer(std::uint64_t name, int n_tokens) {
    hash_ = mixed(hash_ ^ mixed(name + 1));
    add_tokens(n_tokens);
    is_answered_ = true;
  }

  int n_tokens() const { return std::max(1, static_cast<int>(n_tokens_)); }
  /// Of the first 4, 8, 12, … tokens.
  const std::vector<page_hash>& marks() const { return marks_; }

private:
  void say(std::string_view text) {
    if (std::exchange(is_answered_, false))
      add_tokens(measure_.message_tail_tokens);
    add_tokens(measure_.message_head_tokens);
    for (const char c : text) {
      hash_ = mixed(hash_ + static_cast<unsigned char>(c) + 1);
      add(1 / measure_.bytes_a_token);
    }
    add_tokens(measure_.message_tail_tokens);
  }
  void add_tokens(int n) {
    for (int i = 0; i < n; ++i) {
      hash_ = mixed(hash_ + 1);
      add(1);
    }
  }
  void add(double n) {
    n_tokens_ += n;
    if (n_tokens_ >= static_cast<double>(mark_tokens * (marks_.size() + 1)))
      marks_.push_back(hash_);
  }

  text_measure measure_;
  std::uint64_t hash_ = 0x9e3779b97f4a7c15U;
  double n_tokens_ = 0;
  bool is_answered_ = false; ///< and that answer has no end yet
  std::vector<page_hash> marks_;
};

/// Of the whole pages among them.
inline std::vector<page_hash> pages_of(std::span<const page_hash> marks) {
  std::vector<page_hash> pages;
  for (auto i = transcript::marks_a_page; i <= marks.size(); i += transcript::marks_a_page)
    pages.push_back(marks[i - 1]);
  return pages;
}

} // namespace souffleur::cluster_simulation
