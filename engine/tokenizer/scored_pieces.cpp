#include "engine/tokenizer/scored_pieces.hpp"

#include "engine/tokenizer/utf8.hpp"

#include <algorithm>

namespace souffleur {

void scored_pieces::add(std::string_view bytes, const piece& what) {
  if (bytes.empty())
    return;
  pieces_.emplace(bytes, what);
  longest_ = std::max(longest_, bytes.size());
}

bool scored_pieces::has_all_bytes() const {
  return std::find(token_of_byte_.begin(), token_of_byte_.end(), -1) == token_of_byte_.end();
}

void piece_merger::append(std::string_view text, std::vector<token_id>& tokens) {
  left_sizes_.clear();
  heap_.clear();
  cut_into_characters(text);
  for (std::int32_t at = 0; at < static_cast<std::int32_t>(symbols_.size()); ++at)
    note(at);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const auto chosen = heap_.back();
    heap_.pop_back();
    apply(chosen);
  }
  for (const auto& symbol : symbols_)
    if (symbol.size > 0)
      emit(symbol.text(), tokens);
}

void piece_merger::cut_into_characters(std::string_view text) {
  symbols_.clear();
  for (auto rest = text; !rest.empty();) {
    const auto n_bytes = first_utf8_part(rest).n_bytes;
    const auto at = static_cast<std::int32_t>(symbols_.size());
    symbols_.push_back({rest.data(), static_cast<std::uint32_t>(n_bytes), at - 1, at + 1});
    rest.remove_prefix(n_bytes);
  }
  if (!symbols_.empty())
    symbols_.back().next = -1;
}

void piece_merger::note(std::int32_t at) {
  const auto& left = symbols_[static_cast<std::size_t>(at)];
  if (left.next < 0)
    return;
  const auto size = left.size + symbols_[static_cast<std::size_t>(left.next)].size;
  if (const auto* merged = pieces_.find({left.begin, size})) {
    if (merged->is_unused)
      left_sizes_[{left.begin, size}] = left.size;
    heap_.push_back({merged->score, at, size});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
}

void piece_merger::apply(const candidate& chosen) {
  auto& left = symbols_[static_cast<std::size_t>(chosen.at)];
  if (left.size == 0 || left.next < 0)
    return;
  auto& right = symbols_[static_cast<std::size_t>(left.next)];
  if (left.size + right.size != chosen.size)
    return;
  left.size = chosen.size;
  right.size = 0;
  left.next = right.next;
  if (left.next >= 0)
    symbols_[static_cast<std::size_t>(left.next)].previous = chosen.at;
  note(chosen.at);
  if (left.previous >= 0)
    note(left.previous);
}

void piece_merger::emit(std::string_view text, std::vector<token_id>& tokens) const {
  const auto* piece = pieces_.find(text);
  const auto left = left_sizes_.find(text);
  if (piece && piece->is_unused && left != left_sizes_.end()) {
    emit(text.substr(0, left->second), tokens);
    emit(text.substr(left->second), tokens);
  } else if (piece) {
    tokens.push_back(piece->token);
  } else {
    for (const char byte : text)
      if (const auto token = pieces_.token_of_byte_[static_cast<std::uint8_t>(byte)]; token >= 0)
        tokens.push_back(token);
      else if (pieces_.unknown_)
        tokens.push_back(*pieces_.unknown_);
  }
}

} // namespace souffleur
