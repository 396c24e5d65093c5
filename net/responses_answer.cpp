#include "net/responses_answer.hpp"

#include "net/json_fields.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <utility>

namespace souffleur {

namespace json = boost::json;

namespace {

json::object text_part(const std::string& text) {
  return {
      {"type", "output_text"}, {"text", text}, {"annotations", json::array{}}, {"logprobs", json::array{}}};
}

json::object usage_in_own_words(const generation_usage& usage) {
  return {{"input_tokens", usage.n_prompt_tokens},
          {"input_tokens_details", json::object{{"cached_tokens", usage.n_cached_tokens}}},
          {"output_tokens", usage.n_output_tokens},
          {"output_tokens_details", json::object{{"reasoning_tokens", usage.n_thought_tokens}}},
          {"total_tokens", usage.n_prompt_tokens + usage.n_output_tokens}};
}

} // namespace

responses_answer::responses_answer(const openai_call& call, response_identity identity, token_bytes bytes_of)
    : chat_(call, identity, std::move(bytes_of)), repeated_(call.responses.value_or(json::object{})),
      identity_(std::move(identity)), has_tools_(call.has_tools),
      parallel_tool_calls_(call.parallel_tool_calls) {}

void responses_answer::show(const char* type, json::object fields) {
  if (!is_streamed_)
    return;
  fields["type"] = type;
  fields["sequence_number"] = n_events_++;
  events_ += std::string{"event: "} + type + "\ndata: " + json::serialize(fields) + "\n\n";
}

void responses_answer::show_of_item(const char* type, std::size_t index, json::object fields) {
  fields["item_id"] = items_[index].id;
  fields["output_index"] = index;
  show(type, std::move(fields));
}

void responses_answer::show_item(const char* type, std::size_t index) {
  show(type, {{"output_index", index}, {"item", item_object(items_[index])}});
}

json::array responses_answer::part_list(const item& message) const {
  return message.is_done ? json::array{text_part(message.text)} : json::array{};
}

json::object responses_answer::item_object(const item& shown) const {
  json::object object{{"id", shown.id}, {"status", shown.is_done ? "completed" : "in_progress"}};
  if (shown.is_call) {
    object["type"] = "function_call";
    object["call_id"] = "call_" + shown.id;
    object["name"] = shown.name;
    object["arguments"] = shown.is_done ? shown.text : "";
  } else {
    object["type"] = "message";
    object["role"] = "assistant";
    object["content"] = part_list(shown);
  }
  return object;
}

const char* responses_answer::status() const {
  if (failure())
    return "failed";
  if (!reason_)
    return "in_progress";
  return *reason_ == finish_reason::stop ? "completed" : "incomplete";
}

json::object responses_answer::body() const {
  auto object = repeated_;
  object["id"] = identity_.id;
  object["object"] = "response";
  object["created_at"] = identity_.created_s;
  object["model"] = identity_.model;
  object["status"] = status();
  object["background"] = false;
  object["error"] = nullptr;
  if (failure())
    object["error"] = json::object{{"code", "server_error"}, {"message", valid_utf8(failure()->message)}};
  object["incomplete_details"] = nullptr;
  if (object["status"] == "incomplete")
    object["incomplete_details"] = json::object{{"reason", "max_output_tokens"}};
  json::array output;
  for (const auto& shown : items_)
    output.push_back(item_object(shown));
  object["output"] = std::move(output);
  object["usage"] = nullptr;
  if (reason_) {
    object["usage"] = usage_in_own_words(chat_.usage());
    object["souffleur"] = chat_.own_object();
  }
  return object;
}

void responses_answer::begin_message() {
  if (message_)
    return;
  message_ = items_.size();
  items_.push_back({false, "msg_" + identity_.id + "_" + std::to_string(*message_), "", "", false});
  show_item("response.output_item.added", *message_);
  show_of_item("response.content_part.added", *message_, {{"content_index", 0}, {"part", text_part("")}});
}

void responses_answer::end_message() {
  auto& message = items_[*message_];
  show_of_item("response.output_text.done", *message_,
               {{"content_index", 0}, {"text", message.text}, {"logprobs", json::array{}}});
  show_of_item("response.content_part.done", *message_,
               {{"content_index", 0}, {"part", text_part(message.text)}});
  message.is_done = true;
  show_item("response.output_item.done", *message_);
}

void responses_answer::take(const tool_call& call) {
  const auto index = items_.size();
  items_.push_back(
      {true, "fc_" + identity_.id + "_" + std::to_string(index), call.arguments, call.name, false});
  show_item("response.output_item.added", index);
  show_of_item("response.function_call_arguments.delta", index, {{"delta", call.arguments}});
  show_of_item("response.function_call_arguments.done", index,
               {{"name", call.name}, {"arguments", call.arguments}});
  items_[index].is_done = true;
  show_item("response.output_item.done", index);
}

void responses_answer::take(const tool_call_reader::piece& piece) {
  if (!piece.text.empty()) {
    begin_message();
    items_[*message_].text += piece.text;
    show_of_item("response.output_text.delta", *message_,
                 {{"content_index", 0}, {"delta", piece.text}, {"logprobs", json::array{}}});
  }
  for (const auto& call : piece.calls)
    if (parallel_tool_calls_ || std::ranges::none_of(items_, &item::is_call))
      take(call);
}

void responses_answer::end(finish_reason reason) {
  if (has_tools_)
    take(reader_.finish());
  if (items_.empty()) // an answer without a word is one
    begin_message();
  if (message_)
    end_message();
  reason_ = reason;
  show(failure()                       ? "response.failed"
       : reason == finish_reason::stop ? "response.completed"
                                       : "response.incomplete",
       {{"response", body()}});
}

void responses_answer::collect(int choice, const generation_event& event) {
  is_streamed_ = false;
  stream(choice, event);
}

std::string responses_answer::stream(int choice, const generation_event& told) {
  chat_.collect(choice, told);
  if (std::holds_alternative<generation_accepted>(told)) {
    show("response.created", {{"response", body()}});
    show("response.in_progress", {{"response", body()}});
  } else if (const auto* delta = std::get_if<generation_delta>(&told)) {
    take(has_tools_ ? reader_.read(delta->text()) : tool_call_reader::piece{delta->text(), {}});
  } else if (const auto* finished = std::get_if<generation_finished>(&told)) {
    end(finished->reason);
  } else {
    show("response.failed", {{"response", body()}});
  }
  return std::exchange(events_, {});
}

} // namespace souffleur
