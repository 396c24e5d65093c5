#include "net/http_routes.hpp"

#include "engine/unix_time.hpp"
#include "net/json_fields.hpp"
#include "net/openai_response.hpp"
#include "net/page.hpp"
#include "net/responses_request.hpp"
#include "net/stream/frame_forms.hpp"

#include <boost/json/serialize.hpp>

#include <array>

namespace souffleur {

namespace json = boost::json;

namespace {

using routed = routed_query;
using handler = routed (*)(const http_query&, const http_services&);

http_reply json_reply(const json::object& body, int status = 200) {
  return {status, "application/json", json::serialize(body), "", 0};
}

template <class Parse>
routed generate(const Parse& parse, const http_query& query, const http_services& services) {
  const auto body = parse_json(query.body);
  if (const auto* failed = std::get_if<generation_failed>(&body))
    return error_reply(*failed);
  auto call = parse(std::get<json::value>(body), services.generation.model().name);
  if (const auto* failed = std::get_if<generation_failed>(&call))
    return error_reply(*failed);
  return std::move(std::get<openai_call>(call));
}

auto parser_of(openai_endpoint endpoint) {
  return [endpoint](const json::value& body, std::string_view model_name) {
    return parse_openai_request(endpoint, body, model_name);
  };
}

routed chat_completions(const http_query& query, const http_services& services) {
  return generate(parser_of(openai_endpoint::chat_completions), query, services);
}

routed completions(const http_query& query, const http_services& services) {
  return generate(parser_of(openai_endpoint::completions), query, services);
}

routed responses(const http_query& query, const http_services& services) {
  return generate(parse_responses_request, query, services);
}

/// Null: there is none.
const served_embedder* embedder_of(const http_services& services) {
  return services.embedding ? services.embedding->embedder() : nullptr;
}

routed embeddings_of(const http_query& query, const http_services& services) {
  const auto body = parse_json(query.body);
  if (const auto* failed = std::get_if<generation_failed>(&body))
    return error_reply(*failed);
  auto call = parse_embedding_request(std::get<json::value>(body), embedder_of(services));
  if (const auto* failed = std::get_if<generation_failed>(&call))
    return error_reply(*failed);
  return std::move(std::get<embedding_call>(call));
}

json::object model_object(const served_model& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.created_s},
          {"owned_by", "souffleur"},
          {"max_model_len", model.context_length},
          {"fingerprint", model.fingerprint}};
}

json::object model_object(const served_embedder& model, std::int64_t created_s) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", created_s},
          {"owned_by", "souffleur"},
          {"max_model_len", model.max_ids},
          {"fingerprint", model.fingerprint}};
}

routed models(const http_query&, const http_services& services) {
  const auto& model = services.generation.model();
  json::array all{json::value(model_object(model))};
  if (const auto* embedder = embedder_of(services))
    all.push_back(model_object(*embedder, model.created_s));
  return json_reply({{"object", "list"}, {"data", std::move(all)}});
}

routed one_model(const http_query& query, const http_services& services) {
  const auto name = query.path.substr(std::string_view{"/v1/models/"}.size());
  if (const auto* embedder = embedder_of(services); embedder && name == embedder->name)
    return json_reply(model_object(*embedder, services.generation.model().created_s));
  if (name != services.generation.model().name)
    return error_reply(model_not_found(name, services.generation.model().name));
  return json_reply(model_object(services.generation.model()));
}

std::variant<json::object, generation_failed> parse_object(std::string_view text) {
  auto parsed = parse_json(text);
  if (auto* failed = std::get_if<generation_failed>(&parsed))
    return std::move(*failed);
  auto* object = std::get<json::value>(parsed).if_object();
  if (object == nullptr)
    return bad_parameter("", "The body must be a JSON object.", "invalid_type");
  return std::move(*object);
}

routed tokenize(const http_query& query, const http_services& services) {
  const auto body = parse_object(query.body);
  if (const auto* failed = std::get_if<generation_failed>(&body))
    return error_reply(*failed);
  json_fields fields{std::get<json::object>(body)};
  // llama.cpp says content, vLLM says prompt.
  const std::string_view name = fields.find("content") != nullptr ? "content" : "prompt";
  const auto text = fields.text(name);
  const bool parse_special = fields.boolean("parse_special").value_or(true);
  if (!text)
    fields.complain(name, "is required", "missing_required_parameter");
  if (fields.error())
    return error_reply(*fields.error());
  const auto tokens = services.generation.tokenize(*text, parse_special);
  return json_reply({{"tokens", json::array(tokens.begin(), tokens.end())},
                     {"count", tokens.size()},
                     {"max_model_len", services.generation.model().context_length}});
}

routed detokenize(const http_query& query, const http_services& services) {
  const auto body = parse_object(query.body);
  if (const auto* failed = std::get_if<generation_failed>(&body))
    return error_reply(*failed);
  json_fields fields{std::get<json::object>(body)};
  const auto* ids = fields.array("tokens");
  if (ids == nullptr)
    fields.complain("tokens", "is required", "missing_required_parameter");
  if (fields.error())
    return error_reply(*fields.error());
  std::vector<token_id> tokens;
  for (std::size_t i = 0; i < ids->size(); ++i) {
    const auto* id = (*ids)[i].if_int64();
    if (id == nullptr || *id < 0 || *id >= services.generation.model().vocabulary_size)
      return error_reply(bad_parameter(
          "tokens", "tokens[" + std::to_string(i) + "] is not a token id (0 to " +
                        std::to_string(services.generation.model().vocabulary_size - 1) + ")."));
    tokens.push_back(static_cast<token_id>(*id));
  }
  const auto text = valid_utf8(services.generation.detokenize(tokens));
  return json_reply({{"content", text}, {"prompt", text}});
}

service_health health_of(const http_services& services) {
  if (services.observation)
    return services.observation->health();
  const bool ready = services.generation.ready();
  return {true, ready, ready ? "" : "the server is shutting down", {}};
}

routed health_reply(bool is_well, const service_health& health) {
  json::object body{{"status", is_well ? "ok" : "unavailable"}};
  if (!is_well)
    body["reason"] = health.why;
  if (!health.parts_down.empty())
    body["parts_down"] = json::array(health.parts_down.begin(), health.parts_down.end());
  return json_reply(std::move(body), is_well ? 200 : 503);
}

/// Should it be started again?
routed liveness(const http_query&, const http_services& services) {
  const auto health = health_of(services);
  return health_reply(health.is_alive, health);
}

/// Should it be sent more?
routed readiness(const http_query&, const http_services& services) {
  const auto health = health_of(services);
  return health_reply(health.is_alive && health.is_ready, health);
}

routed kill_actor(const http_query& query, const http_services& services) {
  if (!services.faults)
    return error_reply({404, "not_found", "There is nothing at " + std::string{query.path} + ".", "", 0});
  const std::string actor{query.path.substr(std::string_view{"/souffleur/kill/"}.size())};
  services.faults->kill(actor);
  return json_reply({{"killed", actor}});
}

routed metrics(const http_query&, const http_services& services) {
  return http_reply{200, "text/plain; version=0.0.4; charset=utf-8", services.generation.metrics(), "", 0};
}

json::object pages_object(const kv_occupancy& pages) {
  return {{"total", pages.n_total},
          {"free", pages.n_free},
          {"cached", pages.n_cached},
          {"pinned", pages.n_pinned},
          {"owned", pages.n_owned}};
}

json::value tier_object(const std::optional<file_tier_counters>& tier) {
  if (!tier)
    return nullptr;
  return {{"pages", tier->n_pages},
          {"bytes", tier->n_bytes},
          {"read_pages", tier->n_hit_pages},
          {"written_pages", tier->n_written_pages},
          {"damaged_pages", tier->n_damaged_pages},
          {"displaced_pages", tier->n_displaced_pages},
          {"refused_pages", tier->n_refused_pages},
          {"skipped_pages", tier->n_skipped_pages}};
}

routed kv(const http_query&, const http_services&) { return kv_question{20}; }

routed forget(const http_query&, const http_services&) { return purge_order{}; }

routed page(const http_query& query, const http_services&) {
  const auto file = find_page_file(query.path);
  if (!file)
    return error_reply({404, "not_found", "The page has no file " + std::string{query.path} + ".", "", 0});
  http_reply reply{200, std::string{file->content_type}, std::string{file->content}, "", false, 0};
  reply.headers = {{"Cache-Control", std::string{file->cache_control}},
                   {"Content-Security-Policy", std::string{page_security_policy}},
                   {"Referrer-Policy", "no-referrer"},
                   {"X-Content-Type-Options", "nosniff"}};
  return reply;
}

routed trace_of(const http_query& query, const http_services& services) {
  const auto name = query.path.substr(std::string_view{"/souffleur/trace/"}.size());
  const auto id = request_named(name, services.generation.model().created_s);
  if (!id || !services.observation)
    return trace_reply(std::nullopt, {}, services.generation.model());
  return trace_question{*id};
}

routed compare_questions(const http_query& query, const http_services& services) {
  if (!embedder_of(services))
    return error_reply(
        {404, "no_embedding_model",
         "This server has no embedding model to compare with; ./serve --embedding.model minilm "
         "fetches one.",
         "", 0});
  const auto body = parse_json(query.body);
  if (const auto* failed = std::get_if<generation_failed>(&body))
    return error_reply(*failed);
  const auto rules = services.observation ? services.observation->rules() : cache_rules{};
  auto call = parse_comparison(std::get<json::value>(body), rules);
  if (const auto* failed = std::get_if<generation_failed>(&call))
    return error_reply(*failed);
  return std::move(std::get<comparison_call>(call));
}

routed stream_without_upgrade(const http_query&, const http_services&) {
  return error_reply({426, "upgrade_required", "/v1/stream speaks WebSocket; connect with ws://.", "", 0});
}

routed stream_frames(const http_query&, const http_services&) { return json_reply(stream_schema()); }

struct entry {
  std::string_view method;
  std::string_view path; ///< ends in '/': everything below
  handler answer;
};

constexpr std::array routes{
    entry{"GET", "/", page},
    entry{"GET", "/page/", page},
    entry{"GET", "/health", readiness},
    entry{"GET", "/ready", readiness},
    entry{"GET", "/live", liveness},
    entry{"GET", "/metrics", metrics},
    entry{"GET", "/souffleur/kv", kv},
    entry{"DELETE", "/souffleur/cache", forget},
    entry{"POST", "/souffleur/cache/compare", compare_questions},
    entry{"GET", "/souffleur/trace/", trace_of},
    entry{"POST", "/souffleur/kill/", kill_actor},
    entry{"GET", "/v1/models", models},
    entry{"GET", "/v1/models/", one_model},
    entry{"GET", "/v1/stream", stream_without_upgrade},
    entry{"GET", "/v1/stream/schema", stream_frames},
    entry{"POST", "/tokenize", tokenize},
    entry{"POST", "/detokenize", detokenize},
    entry{"POST", "/v1/chat/completions", chat_completions},
    entry{"POST", "/v1/completions", completions},
    entry{"POST", "/v1/embeddings", embeddings_of},
    entry{"POST", "/v1/responses", responses},
};

bool matches(const entry& route, std::string_view path) {
  const bool below = route.path.size() > 1 && route.path.ends_with('/');
  return below ? path.starts_with(route.path) && path.size() > route.path.size() : path == route.path;
}

} // namespace

http_reply error_reply(const generation_failed& error) {
  auto reply = json_reply(error_body(error), error.status);
  reply.retry_after_s = error.retry_after_s;
  return reply;
}

bool is_open_to_all(const http_query& query) {
  return query.method == "OPTIONS" || query.path == "/" || query.path.starts_with("/page/") ||
         query.path == "/health" || query.path == "/ready" || query.path == "/live" ||
         query.path == "/metrics" || query.path == "/v1/stream/schema";
}

http_reply no_key_reply(bool is_wrong) {
  auto reply = error_reply({401, "invalid_api_key",
                            is_wrong ? "The API key is not one of this server's."
                                     : "This server wants an API key: Authorization: Bearer KEY.",
                            "", 0});
  reply.wants_key = true;
  return reply;
}

/// The prefix tree and its memory; no text, and no name of a tenant.
http_reply kv_reply(const std::optional<kv_summary>& summary, const served_model& model) {
  if (!summary)
    return error_reply({503, "kv_manager_unavailable", "The KV manager does not answer.", "", 1});
  const auto page_bytes = model.kv_page_bytes;
  const auto n_used = static_cast<std::size_t>(summary->occupancy.n_total - summary->occupancy.n_free);
  json::array prefixes;
  for (const auto& one : summary->most_hit)
    prefixes.push_back(json::object{{"id", one.serial},
                                    {"tokens", one.n_tokens},
                                    {"own_tokens", one.n_own_tokens},
                                    {"hits", one.n_hits},
                                    {"users", one.n_pins}});
  return json_reply({{"page_tokens", page_tokens},
                     {"pages", pages_object(summary->occupancy)},
                     {"bytes",
                      {{"weights", model.weights_bytes},
                       {"page", page_bytes},
                       {"pool", page_bytes * static_cast<std::size_t>(summary->occupancy.n_total)},
                       {"used", page_bytes * n_used}}},
                     {"sequences", summary->n_sequences},
                     {"tree",
                      {{"namespaces", summary->n_namespaces},
                       {"prefixes", summary->n_prefixes},
                       {"deepest_tokens", summary->n_deepest_tokens},
                       {"queried_tokens", summary->counters.n_queried_tokens},
                       {"hit_tokens", summary->counters.n_hit_tokens},
                       {"evicted_pages", summary->counters.n_evicted_pages}}},
                     {"tier", tier_object(summary->tier)},
                     {"most_hit_prefixes", std::move(prefixes)}});
}

http_reply purge_reply(const std::optional<cache_purged>& purged) {
  if (!purged)
    return error_reply({503, "cache_unavailable", "The response cache does not answer.", "", 1});
  if (!purged->store_did)
    return error_reply({503, "cache_store_unavailable",
                        "Forgotten here, but the store of answers did not carry it out; ask again.", "", 1});
  return json_reply({{"object", "cache.deleted"}, {"deleted", purged->n_entries}});
}

http_reply trace_reply(const std::optional<request_trace>& trace, std::span<const written_part> written,
                       const served_model& model) {
  if (!trace)
    return error_reply({404, "no_such_trace",
                        "There is no trace of that name: the request has not ended, or ended long ago, or is "
                        "another tenant's.",
                        "", 0});
  const auto name = request_name(trace->request.id, model.created_s);
  auto reply = json_reply(trace_events(*trace, written, name, unix_us(trace->request.times.arrival)));
  reply.headers = {{"Content-Disposition", "attachment; filename=\"trace-" + name + ".json\""}};
  return reply;
}

routed_query route(const http_query& query, const http_services& services) {
  std::string_view allowed;
  for (const auto& candidate : routes)
    if (matches(candidate, query.path)) {
      if (candidate.method == query.method || (candidate.method == "GET" && query.method == "HEAD"))
        return candidate.answer(query, services);
      allowed = candidate.method;
    }
  if (allowed.empty())
    return error_reply({404, "not_found", "There is nothing at " + std::string{query.path} + ".", "", 0});
  if (query.method == "OPTIONS")
    return http_reply{204, "", "", std::string{allowed} + ", OPTIONS", 0};
  auto reply = error_reply({405, "method_not_allowed",
                            std::string{query.path} + " takes " + std::string{allowed} + ", not " +
                                std::string{query.method} + ".",
                            "", 0});
  reply.allow = std::string{allowed} + ", OPTIONS";
  return reply;
}

} // namespace souffleur
