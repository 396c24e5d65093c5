#include "net/tool_call_reader.hpp"

#include "engine/grammar/json_literal.hpp"
#include "engine/grammar/output_grammar.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <optional>

namespace souffleur {

namespace {

namespace json = boost::json;
using grammar::tool_call_begin;
using grammar::tool_call_end;

constexpr std::string_view blank_characters = " \t\r\n";

/// Bytes at the end of `text` that could begin `word`.
std::size_t n_that_could_begin(std::string_view text, std::string_view word) {
  for (auto n = std::min(text.size(), word.size() - 1); n > 0; --n)
    if (text.ends_with(word.substr(0, n)))
      return n;
  return 0;
}

std::optional<tool_call> parsed_call(std::string_view body) {
  json::error_code error;
  const auto value = json::parse({body.data(), body.size()}, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* name = object != nullptr ? object->if_contains("name") : nullptr;
  if (name == nullptr || !name->is_string())
    return std::nullopt;
  const auto* arguments = object->if_contains("arguments");
  if (arguments == nullptr)
    arguments = object->if_contains("parameters");
  if (arguments != nullptr && !arguments->is_object())
    return std::nullopt;
  return tool_call{std::string{name->get_string()},
                   arguments == nullptr ? "{}" : grammar::json_literal(*arguments)};
}

} // namespace

tool_call_reader::piece tool_call_reader::read(std::string_view text) {
  pending_ += text;
  piece made;
  do
    if (!inside_)
      take_outside(made);
  while (inside_ && take_call(made));
  return made;
}

/// Goes on to the next call, or to the end.
void tool_call_reader::take_outside(piece& into) {
  const auto begin = pending_.find(tool_call_begin);
  inside_ = begin != std::string::npos;
  const auto n_text = inside_ ? begin : pending_.size() - n_that_could_begin(pending_, tool_call_begin);
  add_text(into, std::string_view{pending_}.substr(0, n_text));
  pending_.erase(0, inside_ ? begin + tool_call_begin.size() : n_text);
}

/// False: its end is not there yet.
bool tool_call_reader::take_call(piece& into) {
  const auto end = pending_.find(tool_call_end);
  if (end == std::string::npos)
    return false;
  const auto body = pending_.substr(0, end);
  pending_.erase(0, end + tool_call_end.size());
  inside_ = false;
  if (!add_call(into, body))
    add_text(into, std::string{tool_call_begin}.append(body).append(tool_call_end));
  return true;
}

void tool_call_reader::add_text(piece& into, std::string_view text) {
  const auto last = text.find_last_not_of(blank_characters);
  if (last == std::string_view::npos) {
    blanks_ += text;
    return;
  }
  into.text.append(blanks_).append(text.substr(0, last + 1));
  blanks_ = text.substr(last + 1);
}

bool tool_call_reader::add_call(piece& into, std::string_view body) {
  auto call = parsed_call(body);
  if (!call)
    return false;
  into.calls.push_back(std::move(*call));
  blanks_.clear();
  ++n_calls_;
  return true;
}

tool_call_reader::piece tool_call_reader::finish() {
  piece made;
  if (inside_ && !add_call(made, pending_))
    add_text(made, std::string{tool_call_begin}.append(pending_));
  else if (!inside_)
    add_text(made, pending_);
  pending_.clear();
  if (n_calls_ == 0)
    made.text += blanks_;
  blanks_.clear();
  return made;
}

} // namespace souffleur
