#include "policies/guards/code_spans.hpp"

#include <algorithm>
#include <array>

namespace souffleur::guards {

namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

std::string_view trimmed(std::string_view text, std::string_view ends) {
  const auto first = text.find_first_not_of(ends);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(ends) - first + 1);
}

/// "main.py", "example.com", not "e.g." or two sentences without a blank.
bool has_file_ending(std::string_view chunk) {
  const auto dot = chunk.rfind('.');
  if (dot == std::string_view::npos || dot < 2 || dot + 1 == chunk.size())
    return false;
  const auto ending = chunk.substr(dot + 1);
  return ending.size() <= 6 && is_word(chunk[dot - 1]) && is_word(chunk[dot - 2]) &&
         is_lower(ending.front()) && std::all_of(ending.begin(), ending.end(), is_word);
}

/// `chunk` has no blanks.
bool looks_like_code(std::string_view chunk) {
  constexpr std::array<std::string_view, 6> operators = {"::", "->", "++", "--", "&&", "://"};
  if (chunk.find_first_of("{}<>=|\\^") != std::string_view::npos)
    return true;
  if (std::any_of(operators.begin(), operators.end(),
                  [&](auto sign) { return chunk.find(sign) != std::string_view::npos; }) &&
      chunk != "--")
    return true;
  if (chunk.size() > 1 && (chunk[0] == '-' || chunk[0] == '/') && is_letter(chunk[1]))
    return true;
  for (std::size_t i = 1; i + 1 < chunk.size(); ++i)
    if (is_word(chunk[i - 1]) && ((chunk[i] == '_' && is_word(chunk[i + 1])) || chunk[i] == '[' ||
                                  (chunk[i] == '(' && !chunk.substr(i).starts_with("(s"))))
      return true;
  return has_file_ending(chunk);
}

std::string lower(std::string_view text) {
  std::string made{text};
  for (auto& c : made)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return made;
}

/// Moves what stands between backticks from `text` to `found.code`; the rest is its prose.
void take_backticks(std::string_view text, spans& found) {
  while (!text.empty()) {
    const auto open = text.find('`');
    found.prose += text.substr(0, open);
    if (open == std::string_view::npos)
      return;
    text.remove_prefix(open);
    const auto n_ticks = std::min(text.find_first_not_of('`'), text.size());
    const auto ticks = text.substr(0, n_ticks);
    text.remove_prefix(n_ticks);
    const auto close = std::min(text.find(ticks), text.size());
    found.code.emplace_back(trimmed(text.substr(0, close), " \n\t"));
    found.prose += ' ';
    text.remove_prefix(std::min(close + n_ticks, text.size()));
  }
}

void take_chunks(std::string_view prose, spans& found) {
  constexpr std::string_view blanks = " \n\t\r";
  while (!(prose = prose.substr(std::min(prose.find_first_not_of(blanks), prose.size()))).empty()) {
    const auto size = std::min(prose.find_first_of(blanks), prose.size());
    auto chunk = trimmed(prose.substr(0, size), "?!.,:;\"'");
    if (chunk.starts_with('('))
      chunk = trimmed(chunk, "()");
    if (looks_like_code(chunk))
      found.code.push_back(lower(chunk));
    prose.remove_prefix(size);
  }
}

void take_quotes(std::string_view prose, spans& found) {
  for (auto open = prose.find('"'); open != std::string_view::npos; open = prose.find('"')) {
    prose.remove_prefix(std::min(prose.find_first_not_of('"', open), prose.size()));
    const auto close = prose.find('"');
    if (close == std::string_view::npos)
      return;
    found.quotes.emplace_back(prose.substr(0, close));
    prose.remove_prefix(std::min(prose.find_first_not_of('"', close), prose.size()));
  }
}

} // namespace

spans spans_of(std::string_view text) {
  spans found;
  take_backticks(text, found);
  take_chunks(found.prose, found);
  take_quotes(found.prose, found);
  return found;
}

} // namespace souffleur::guards
