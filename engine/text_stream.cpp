#include "engine/text_stream.hpp"

#include "engine/tokenizer/utf8.hpp"

namespace souffleur {

namespace {

/// The text is valid UTF-8, so only valid strings can be in it; then a match is never cut inside a character.
std::vector<std::string> repaired(std::vector<std::string> texts) {
  for (auto& text : texts)
    text = repaired_utf8(text);
  return texts;
}

} // namespace

std::string incremental_detokenizer::push(std::string_view bytes) {
  pending_ += bytes;
  std::string_view rest = pending_;
  std::string text;
  while (!rest.empty()) {
    const auto part = first_utf8_part(rest);
    if (part.state == utf8_state::incomplete)
      break;
    text += part.state == utf8_state::complete ? rest.substr(0, part.n_bytes) : replacement_character;
    rest.remove_prefix(part.n_bytes);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return text;
}

std::string incremental_detokenizer::flush() {
  const bool was_cut = !pending_.empty();
  pending_.clear();
  return std::string{was_cut ? replacement_character : std::string_view{}};
}

text_stream::text_stream(std::shared_ptr<const tokenizer> vocabulary, std::vector<std::string> stop)
    : vocabulary_(std::move(vocabulary)), matcher_(repaired(std::move(stop))) {}

std::string text_stream::push(token_id token) {
  if (stopped_ || vocabulary_->is_control(token) || vocabulary_->is_end(token))
    return "";
  return release(detokenizer_.push(vocabulary_->piece(token)), false);
}

std::string text_stream::flush() { return stopped_ ? "" : release(detokenizer_.flush(), true); }

std::string text_stream::release(std::string_view text, bool at_end) {
  matcher_.read(text);
  held_ += text;
  const auto n_returned = matcher_.n_read() - held_.size();
  auto until = at_end ? matcher_.n_read() : matcher_.earliest_open();
  if (const auto match = matcher_.earliest(at_end)) {
    stopped_ = true;
    matched_stop_ = match->text;
    until = match->begin;
  }
  auto ready = held_.substr(0, until - n_returned);
  held_.erase(0, stopped_ ? held_.size() : ready.size());
  return ready;
}

} // namespace souffleur
