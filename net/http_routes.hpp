// Everything that HTTP answers without a generation: routing, and the small endpoints.
#pragma once

#include "actors/messages/embedding.hpp"
#include "actors/messages/generation.hpp"
#include "net/cache_comparison.hpp"
#include "net/openai_embeddings.hpp"
#include "net/openai_request.hpp"
#include "net/trace_events.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

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
  std::string allow;                                          ///< with 405
  bool wants_key = false;                                     ///< with 401
  int retry_after_s = 0;                                      ///< with 429 and 503
  std::vector<std::pair<std::string, std::string>> headers{}; ///< others
};

http_reply error_reply(const generation_failed& error);

/// Whether it is answered to who has no key: what a browser or a watchdog asks before anything else.
bool is_open_to_all(const http_query& query);
/// For who has none, or a wrong one.
http_reply no_key_reply(bool is_wrong);

/// The reply is kv_reply() of what the service says.
struct kv_question {
  int n_prefixes = 0; ///< at most
};
http_reply kv_reply(const std::optional<kv_summary>& summary, const served_model& model);

/// All stored answers of the tenant who asks are to be forgotten; the reply is purge_reply().
struct purge_order {};
http_reply purge_reply(const std::optional<cache_purged>& purged);

/// The reply is trace_reply() of what the service says.
struct trace_question {
  request_id id = 0;
};
http_reply trace_reply(const std::optional<request_trace>& trace, std::span<const written_part> written,
                       const served_model& model);

/// What there is to be asked.
struct http_services {
  http_services(const generation_service& texts, const embedding_service* vectors = nullptr,
                const observation_service* onlooker = nullptr, fault_service* killer = nullptr)
      : generation(texts), embedding(vectors), observation(onlooker), faults(killer) {}

  const generation_service& generation;
  const embedding_service* embedding;     ///< null: there is none
  const observation_service* observation; ///< likewise
  fault_service* faults;                  ///< likewise
};

using routed_query = std::variant<http_reply, openai_call, kv_question, embedding_call, purge_order,
                                  trace_question, comparison_call>;

/// A reply, or what has to be asked of a service before there is one.
routed_query route(const http_query& query, const http_services& services);

} // namespace souffleur
