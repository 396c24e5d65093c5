#include "actors/event_gate.hpp"

#include <iterator>

namespace souffleur {

std::optional<generation_event> event_gate::next() {
  if (held_.empty())
    return std::nullopt;
  auto* delta = std::get_if<generation_delta>(&held_.front());
  const auto n_tokens = delta != nullptr ? static_cast<std::int64_t>(delta->tokens.size()) : 0;
  if (n_granted_ && n_tokens > *n_granted_) {
    if (*n_granted_ == 0)
      return std::nullopt;
    const auto cut = delta->tokens.begin() + static_cast<std::ptrdiff_t>(*n_granted_);
    generation_delta first;
    first.tokens.assign(std::make_move_iterator(delta->tokens.begin()), std::make_move_iterator(cut));
    delta->tokens.erase(delta->tokens.begin(), cut);
    n_granted_ = 0;
    return first;
  }
  if (n_granted_)
    *n_granted_ -= n_tokens;
  auto whole = std::move(held_.front());
  held_.pop_front();
  return whole;
}

} // namespace souffleur
