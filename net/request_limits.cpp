#include "net/connection.hpp"

#include "net/logging.hpp"
#include "net/trace_events.hpp"

#include <boost/asio/post.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

namespace souffleur {

namespace {

double now_s() {
  return std::chrono::duration<double>{std::chrono::steady_clock::now().time_since_epoch()}.count();
}

tenant_limits limits_of(const server_context& context, const std::string& tenant) {
  const auto& [keys, limits] = context.access;
  return keys ? keys->limits_of(tenant, limits) : limits;
}

int n_tokens_of(const generation_event& event) {
  if (const auto* accepted = std::get_if<generation_accepted>(&event))
    return accepted->n_prompt_tokens;
  const auto* delta = std::get_if<generation_delta>(&event);
  return delta != nullptr ? static_cast<int>(delta->tokens.size()) : 0;
}

std::string whole(double number) { return std::to_string(std::llround(std::floor(number))); }

/// As OpenAI writes them.
std::string duration(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3fs", seconds);
  return text;
}

} // namespace

std::optional<generation_failed> admit(server_context& context, const std::string& tenant) {
  const auto limits = limits_of(context, tenant);
  const auto [by, wait_s] = context.ledger.admit(tenant, limits, now_s());
  const auto refused = [&](const std::string& code, double limit, const std::string& of) {
    return generation_failed{429, code, "The limit of " + whole(limit) + " " + of + " is reached.", "",
                             static_cast<int>(std::ceil(wait_s))};
  };
  switch (by) {
  case limited::nothing:
    return std::nullopt;
  case limited::requests_per_minute:
    return refused("rate_limit_exceeded", limits.requests_per_minute, "requests a minute");
  case limited::tokens_per_minute:
    return refused("rate_limit_exceeded", limits.tokens_per_minute, "tokens a minute");
  case limited::tokens_per_day:
    return refused("insufficient_quota", limits.tokens_per_day, "tokens a day");
  }
  return std::nullopt;
}

void charge(server_context& context, const std::string& tenant, int n_tokens) {
  context.ledger.charge(tenant, limits_of(context, tenant), n_tokens, now_s());
}

request_id submit(const context_ptr& context, generation_request request,
                  std::function<void(request_id, generation_event)> to) {
  const auto id = context->next_request++;
  request.id = id;
  struct taker {
    std::string tenant;
    std::function<void(request_id, generation_event)> hear;
  };
  const auto shared = std::make_shared<const taker>(taker{request.tenant, std::move(to)});
  auto sink = [context, shared, id](generation_event event) {
    // What waits in a context that nobody runs any more must not own it.
    asio::post(context->io, [weak = std::weak_ptr{context}, shared, id, event = std::move(event)]() mutable {
      const auto there = weak.lock();
      if (!there)
        return;
      log_request_end(request_name(id, there->service.model().created_s), event);
      if (const int n_tokens = n_tokens_of(event); n_tokens > 0)
        charge(*there, shared->tenant, n_tokens);
      shared->hear(id, std::move(event));
    });
  };
  if (auto refused = admit(*context, request.tenant))
    sink(std::move(*refused));
  else
    context->service.submit(std::move(request), std::move(sink));
  return id;
}

std::vector<std::pair<std::string, std::string>> limit_fields(const server_context& context,
                                                              const std::string& tenant) {
  std::vector<std::pair<std::string, std::string>> fields;
  const auto limits = limits_of(context, tenant);
  const auto add = [&](const std::string& of, const std::optional<limit_standing>& standing) {
    if (!standing)
      return;
    fields.emplace_back("x-ratelimit-limit-" + of, whole(standing->limit));
    fields.emplace_back("x-ratelimit-remaining-" + of, whole(standing->left));
    fields.emplace_back("x-ratelimit-reset-" + of, duration(standing->full_after_s));
  };
  add("requests", context.ledger.requests(tenant, limits, now_s()));
  add("tokens", context.ledger.tokens(tenant, limits, now_s()));
  return fields;
}

} // namespace souffleur
