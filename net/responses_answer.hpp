// From generation events to the objects and events of OpenAI's Responses endpoint.
#pragma once

#include "net/call_answer.hpp"
#include "net/openai_response.hpp"

#include <boost/json/array.hpp>

#include <optional>
#include <string>
#include <vector>

namespace souffleur {

/// An answer is a message and the calls of functions that it has, each an item of the response, in the order
/// in which they begin. Streamed or not, the items are the same.
class responses_answer final : public call_answer {
public:
  /// REQUIRES: `call.responses`, and one choice. `identity.id` is the response's.
  responses_answer(const openai_call& call, response_identity identity, token_bytes bytes_of);

  std::string stream(int choice, const generation_event& event) override;
  void collect(int choice, const generation_event& event) override;
  boost::json::object body() const override;
  bool ended() const override { return chat_.ended(); }
  const std::optional<generation_failed>& failure() const override { return chat_.failure(); }

private:
  struct item {
    bool is_call = false;
    std::string id;
    std::string text; ///< of a message; of a call: its arguments
    std::string name; ///< of a call's function
    bool is_done = false;
  };

  /// One more event.
  void show(const char* type, boost::json::object fields);
  void show_of_item(const char* type, std::size_t index, boost::json::object fields);
  void show_item(const char* type, std::size_t index);
  void begin_message();
  void end_message();
  void take(const tool_call& call);
  void take(const tool_call_reader::piece& piece);
  void end(finish_reason reason);
  boost::json::object item_object(const item& shown) const;
  boost::json::array part_list(const item& message) const;
  const char* status() const;

  openai_response chat_; ///< keeps the accounts
  boost::json::object repeated_;
  response_identity identity_;
  bool has_tools_;
  bool parallel_tool_calls_;
  bool is_streamed_ = true; ///< else nobody sees the events
  tool_call_reader reader_;
  std::vector<item> items_;
  std::optional<std::size_t> message_; ///< index of the one, once it has begun
  std::optional<finish_reason> reason_;
  int n_events_ = 0;
  std::string events_; ///< to be returned
};

} // namespace souffleur
