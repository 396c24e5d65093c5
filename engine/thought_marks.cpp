#include "engine/thought_marks.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

namespace {

struct spelling {
  std::string_view begin;
  std::string_view end;
};

constexpr std::array spellings{spelling{"<think>", "</think>"}, spelling{"[THINK]", "[/THINK]"},
                               spelling{"<seed:think>", "</seed:think>"}};

std::optional<token_id> single_token(const tokenizer& vocabulary, std::string_view text) {
  const auto tokens = vocabulary.encode(text, true);
  return tokens.size() == 1 ? std::optional{tokens.front()} : std::nullopt;
}

} // namespace

std::shared_ptr<const thought_marks> find_thought_marks(const tokenizer& vocabulary) {
  for (const auto& [begin, end] : spellings) {
    const auto first = single_token(vocabulary, begin);
    const auto last = single_token(vocabulary, end);
    if (first && last)
      return std::make_shared<const thought_marks>(*first, *last,
                                                   vocabulary.encode(std::string{end} + "\n\n", true));
  }
  return nullptr;
}

} // namespace souffleur
