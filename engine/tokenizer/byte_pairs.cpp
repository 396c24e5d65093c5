#include "engine/tokenizer/byte_pairs.hpp"

#include <algorithm>

namespace souffleur {

void word_merger::append(std::string_view word, std::vector<token_id>& tokens) {
  symbols_.clear();
  heap_.clear();
  for (const char c : word)
    if (const auto token = pairs_.token_of_byte_[static_cast<std::uint8_t>(c)]; token >= 0) {
      const auto at = static_cast<std::int32_t>(symbols_.size());
      symbols_.push_back({token, at - 1, at + 1});
    }
  if (symbols_.empty())
    return;
  symbols_.back().next = -1;
  for (std::int32_t at = 0; at < static_cast<std::int32_t>(symbols_.size()); ++at)
    note(at);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const auto chosen = heap_.back();
    heap_.pop_back();
    apply(chosen);
  }
  for (const auto& symbol : symbols_)
    if (symbol.token >= 0)
      tokens.push_back(symbol.token);
}

void word_merger::note(std::int32_t at) {
  const auto& left = symbols_[static_cast<std::size_t>(at)];
  if (left.next < 0)
    return;
  const auto right = symbols_[static_cast<std::size_t>(left.next)].token;
  if (const auto* merge = pairs_.find(left.token, right)) {
    heap_.push_back({merge->rank, at, left.token, right, merge->merged});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
}

void word_merger::apply(const candidate& chosen) {
  auto& left = symbols_[static_cast<std::size_t>(chosen.at)];
  if (left.token != chosen.left || left.next < 0)
    return;
  auto& right = symbols_[static_cast<std::size_t>(left.next)];
  if (right.token != chosen.right)
    return;
  left.token = chosen.merged;
  right.token = -1;
  left.next = right.next;
  if (left.next >= 0)
    symbols_[static_cast<std::size_t>(left.next)].previous = chosen.at;
  note(chosen.at);
  if (left.previous >= 0)
    note(left.previous);
}

} // namespace souffleur
