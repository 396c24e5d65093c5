// Everything that HTTP answers without a generation: routing, and the small endpoints.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/openai_request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace souffleur {

struct http_query {
  std::string_view method; ///< "GET", …
  std::string_view path;   ///< without the query string
  std::string_view body;
};

struct http_reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow;     ///< with 405
  int retry_after_s = 0; ///< with 429 and 503
};

http_reply error_reply(const generation_failed& error);

/// The reply is kv_reply() of what the service says.
struct kv_question {
  int n_prefixes = 0; ///< at most
};
http_reply kv_reply(const std::optional<kv_summary>& summary, const served_model& model);

/// A reply, or what has to be asked of the service before there is one.
std::variant<http_reply, openai_call, kv_question> route(const http_query& query,
                                                         const generation_service& service);

} // namespace souffleur
