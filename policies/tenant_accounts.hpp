// What each tenant was served, in rounds of one quantum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace souffleur {

struct tenant_account {
  std::int64_t n_served = 0;   ///< tokens
  std::uint64_t last_turn = 0; ///< when it last got something; 0: never
};

/// Deficit round robin as counters: a tenant's deficit is positive while its round, n_served / quantum, is
/// the lowest of those that wait. Whoever gives turns only to the lowest round keeps the laws of
/// `fair_quantum_tokens`.
///
/// Who comes back after being idle starts with the round under way: waiting earns credit, absence does not.
class tenant_accounts {
public:
  explicit tenant_accounts(std::int64_t quantum) : quantum_(quantum) {}

  std::int64_t round_of(const tenant_account& account) const { return account.n_served / quantum_; }
  tenant_account of(std::string_view tenant) const;
  /// REQUIRES: the tenant is in the lowest round of those that wait.
  void take_turn(std::string_view tenant);
  void charge(std::string_view tenant, std::int64_t n_tokens);
  std::size_t size() const { return accounts_.size(); }

private:
  tenant_account& open(std::string_view tenant);

  std::int64_t quantum_;
  std::int64_t floor_ = 0; ///< where the round under way begins
  std::uint64_t n_turns_ = 0;
  std::map<std::string, tenant_account, std::less<>> accounts_; ///< all above the floor or at it
};

} // namespace souffleur
