#include "policies/tenant_accounts.hpp"

namespace souffleur {
namespace {

/// Names are the clients' choice, so what is kept has a bound.
constexpr std::size_t max_accounts = 4096;

} // namespace

tenant_account tenant_accounts::of(std::string_view tenant) const {
  const auto found = accounts_.find(tenant);
  return found == accounts_.end() ? tenant_account{floor_, 0} : found->second;
}

void tenant_accounts::take_turn(std::string_view tenant) {
  const auto round_begins = round_of(of(tenant)) * quantum_;
  if (round_begins > floor_) {
    floor_ = round_begins;
    // Who lies below the floor is lifted to it.
    std::erase_if(accounts_, [&](const auto& entry) { return entry.second.n_served <= floor_; });
  }
  open(tenant).last_turn = ++n_turns_;
}

void tenant_accounts::charge(std::string_view tenant, std::int64_t n_tokens) {
  auto& account = open(tenant);
  account.n_served += n_tokens;
  account.last_turn = ++n_turns_;
}

tenant_account& tenant_accounts::open(std::string_view tenant) {
  auto found = accounts_.find(tenant);
  if (found == accounts_.end()) {
    if (accounts_.size() >= max_accounts) {
      accounts_.clear(); // all debts are forgiven
    }
    found = accounts_.emplace(tenant, tenant_account{floor_, 0}).first;
  }
  return found->second;
}

} // namespace souffleur
