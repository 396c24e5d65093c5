#include "policies/tenant_limits.hpp"

#include <algorithm>

namespace souffleur {

namespace {

constexpr double minute_s = 60;
constexpr double day_s = 86'400;

/// Until a bucket that falls by a sixtieth of `limit` each second has fallen by `excess`.
double wait_for(double excess, double limit) { return std::max(0.0, excess) / limit * minute_s; }

std::optional<limit_standing> standing_of(double limit, double used) {
  if (limit <= 0)
    return std::nullopt;
  return limit_standing{limit, std::max(0.0, limit - used), wait_for(used, limit)};
}

} // namespace

limit_ledger::account limit_ledger::brought_to(account before, double now_s) {
  const double minutes = (now_s - before.at_s) / minute_s;
  const auto& limits = before.limits;
  before.requests_used = std::max(0.0, before.requests_used - minutes * limits.requests_per_minute);
  before.tokens_used = std::max(0.0, before.tokens_used - minutes * limits.tokens_per_minute);
  if (now_s - before.day_began_s >= day_s)
    before.day_used = 0;
  before.at_s = now_s;
  return before;
}

limit_ledger::account limit_ledger::seen(std::string_view tenant, const tenant_limits& limits,
                                         double now_s) const {
  now_s = std::max(now_s, latest_s_);
  const auto at = accounts_.find(tenant);
  auto now = at == accounts_.end() ? account{} : brought_to(at->second, now_s);
  now.at_s = now_s;
  now.limits = limits;
  return now;
}

admission_verdict limit_ledger::admit(std::string_view tenant, const tenant_limits& limits, double now_s) {
  if (!limits.any())
    return {};
  auto now = seen(tenant, limits, now_s);
  latest_s_ = now.at_s;
  admission_verdict verdict;
  const auto refuse = [&](limited by, double wait_s) {
    if (verdict.by == limited::nothing || wait_s > verdict.wait_s)
      verdict = {by, wait_s};
  };
  const auto wait_for_one = [](double used, double limit) {
    return limit > 0 ? wait_for(used + 1 - std::max(1.0, limit), limit) : 0;
  };
  if (const double wait_s = wait_for_one(now.requests_used, limits.requests_per_minute); wait_s > 0)
    refuse(limited::requests_per_minute, wait_s);
  if (const double wait_s = wait_for_one(now.tokens_used, limits.tokens_per_minute); wait_s > 0)
    refuse(limited::tokens_per_minute, wait_s);
  if (limits.tokens_per_day > 0 && now.day_used >= limits.tokens_per_day)
    refuse(limited::tokens_per_day, now.day_began_s + day_s - now.at_s);
  if (verdict.by == limited::nothing)
    now.requests_used += 1;
  keep(tenant, now);
  return verdict;
}

void limit_ledger::charge(std::string_view tenant, const tenant_limits& limits, double n_tokens,
                          double now_s) {
  if (!limits.any())
    return;
  auto now = seen(tenant, limits, now_s);
  latest_s_ = now.at_s;
  now.tokens_used += n_tokens;
  if (now.day_used <= 0)
    now.day_began_s = now.at_s;
  now.day_used += n_tokens;
  keep(tenant, now);
}

std::optional<limit_standing> limit_ledger::requests(std::string_view tenant, const tenant_limits& limits,
                                                     double now_s) const {
  return standing_of(limits.requests_per_minute, seen(tenant, limits, now_s).requests_used);
}

std::optional<limit_standing> limit_ledger::tokens(std::string_view tenant, const tenant_limits& limits,
                                                   double now_s) const {
  return standing_of(limits.tokens_per_minute, seen(tenant, limits, now_s).tokens_used);
}

void limit_ledger::keep(std::string_view tenant, const account& changed) {
  if (const auto at = accounts_.find(tenant); at != accounts_.end())
    at->second = changed;
  else
    accounts_.emplace(tenant, changed);
  if (accounts_.size() > forget_at_)
    forget_idle();
}

void limit_ledger::forget_idle() {
  std::erase_if(accounts_, [&](const auto& one) {
    const auto now = brought_to(one.second, latest_s_);
    return (now.limits.requests_per_minute <= 0 || now.requests_used <= 0) &&
           (now.limits.tokens_per_minute <= 0 || now.tokens_used <= 0) &&
           (now.limits.tokens_per_day <= 0 || now.day_used <= 0);
  });
  forget_at_ = std::max(most_remembered, 2 * accounts_.size());
}

} // namespace souffleur
