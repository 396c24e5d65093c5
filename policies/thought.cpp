#include "policies/thought.hpp"

#include <algorithm>

namespace souffleur {

thought_reader::thought_reader(std::shared_ptr<const thought_marks> marks, std::span<const token_id> prompt)
    : marks_(std::move(marks)) {
  for (const auto token : prompt.last(std::min(prompt.size(), 1 + max_white_tokens)))
    is_open_ = token == marks_->begin || (is_open_ && token != marks_->end);
}

void thought_reader::read(token_id token) {
  if (!is_open_) {
    is_open_ = token == marks_->begin;
    return;
  }
  is_open_ = token != marks_->end;
  n_tokens_ += is_open_ ? 1 : 0;
}

} // namespace souffleur
