#include "actors/chat_request.hpp"

#include <boost/json/object.hpp>

namespace souffleur {

generation_request chat_request(const std::string& question, int max_tokens,
                                const std::string& instructions) {
  chat_prompt chat;
  if (!instructions.empty())
    chat.messages.push_back(boost::json::object{{"role", "system"}, {"content", instructions}});
  chat.messages.push_back(boost::json::object{{"role", "user"}, {"content", question}});
  generation_request request;
  request.prompt = std::move(chat);
  request.sampling.max_tokens = max_tokens;
  request.max_tokens_given = true;
  return request;
}

} // namespace souffleur
