// A tokenizer of one character a token, and a chat template that joins the messages.
#pragma once

#include "engine/chat_template.hpp"
#include "engine/tokenizer.hpp"
#include "tests/actors/fake_model.hpp"

#include <boost/json/value.hpp>

#include <array>

namespace souffleur::testing {

/// Ids 0 to 29 are the letters a to z, then " .,!"; 30 is BOS, 31 ends.
class fake_tokenizer : public tokenizer {
public:
  std::vector<token_id> encode(std::string_view text, bool) const override {
    std::vector<token_id> tokens;
    for (const char letter : text)
      if (const auto at = letters.find(letter); at != std::string_view::npos)
        tokens.push_back(static_cast<token_id>(at));
    return tokens;
  }
  std::string_view piece(token_id token) const override {
    if (token == fake_bos)
      return "<s>";
    if (token == fake_end)
      return "</s>";
    return token >= 0 && token < fake_bos ? letters.substr(static_cast<std::size_t>(token), 1)
                                          : std::string_view{};
  }
  bool is_control(token_id token) const override { return token == fake_bos || token == fake_end; }
  bool is_end(token_id token) const override { return token == fake_end; }
  std::span<const token_id> end_tokens() const override { return ends_; }
  std::optional<token_id> bos() const override { return fake_bos; }
  bool adds_bos() const override { return true; }
  int vocabulary_size() const override { return fake_vocabulary; }

  static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz .,!";

private:
  std::array<token_id, 1> ends_ = {fake_end};
};

/// Joins the contents; fails on a message without one.
class fake_chat_template : public chat_template {
public:
  result<std::string> render(const chat_input& input) const override {
    std::string text;
    for (const auto& message : input.messages) {
      const auto* object = message.if_object();
      const auto* content = object ? object->if_contains("content") : nullptr;
      if (!content || !content->is_string())
        return failure{"a message has no content"};
      text += std::string{content->get_string().c_str()} + " ";
    }
    return text;
  }
};

} // namespace souffleur::testing
