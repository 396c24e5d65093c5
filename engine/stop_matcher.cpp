#include "engine/stop_matcher.hpp"

#include <algorithm>

namespace souffleur {

namespace {

std::uint32_t extended(const std::string& text, const std::vector<std::uint32_t>& borders,
                       std::uint32_t n_matched, char byte) {
  while (n_matched > 0 && text[n_matched] != byte)
    n_matched = borders[n_matched - 1];
  return text[n_matched] == byte ? n_matched + 1 : 0;
}

} // namespace

stop_matcher::stop_matcher(std::vector<std::string> wanted) {
  for (auto& text : wanted) {
    if (text.empty())
      continue;
    auto& added = patterns_.emplace_back();
    added.text = std::move(text);
    added.borders.push_back(0);
    for (std::size_t i = 1; i < added.text.size(); ++i)
      added.borders.push_back(extended(added.text, added.borders, added.borders.back(), added.text[i]));
  }
}

void stop_matcher::read(std::string_view text) {
  for (const char byte : text) {
    ++n_read_;
    for (auto& pattern : patterns_) {
      if (pattern.found)
        continue;
      pattern.n_matched = extended(pattern.text, pattern.borders, pattern.n_matched, byte);
      if (pattern.n_matched == pattern.text.size())
        pattern.found = n_read_ - pattern.n_matched;
    }
  }
}

const stop_matcher::pattern* stop_matcher::first_found() const {
  const pattern* first = nullptr;
  for (const auto& pattern : patterns_)
    if (pattern.found && (!first || *pattern.found < *first->found ||
                          (pattern.found == first->found && pattern.text.size() < first->text.size())))
      first = &pattern;
  return first;
}

std::uint64_t stop_matcher::earliest_open() const {
  auto earliest = n_read_;
  for (const auto& pattern : patterns_)
    if (!pattern.found)
      earliest = std::min(earliest, n_read_ - pattern.n_matched);
  return earliest;
}

std::optional<stop_matcher::match> stop_matcher::earliest(bool at_end) const {
  const auto* first = first_found();
  if (!first || (!at_end && earliest_open() < *first->found))
    return std::nullopt;
  return match{*first->found, first->text};
}

} // namespace souffleur
