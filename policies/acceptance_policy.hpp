// Which drafted tokens stand.
#pragma once

#include "policies/coins.hpp"
#include "policies/policy_registry.hpp"
#include "policies/verification_tree.hpp"

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace souffleur {

/// Gives the processed distribution of a row. Asked at most once for each row, and for its parent before.
using target_rows = std::function<distribution(int row)>;

/// One way in which a step can end: the drafted path down to `row` stands, and one token of `law` follows.
struct ending {
  int row = 0;
  double probability = 0;
  distribution law;
};

/// What a step emits: the tokens of the path that stands, then one more.
struct verdict {
  std::vector<token_id> tokens;
  std::vector<int> rows; ///< those that gave the tokens, from 0 on: what stays in the KV memory

  /// How many of the tokens, at the front, were drafted.
  int n_accepted() const { return static_cast<int>(tokens.size()) - 1; }
};

/// Decides about a draft. Stateless and thread-safe.
class acceptance_policy {
public:
  virtual ~acceptance_policy() = default;
  virtual std::string_view name() const = 0;
  /// True if the emitted tokens follow the target's law whatever was drafted.
  virtual bool lossless() const = 0;
  /// The law of decide(), exactly, before any coin is thrown. Each row ends at most one of the ways.
  virtual std::vector<ending> plan(const verification_tree& draft, const target_rows& target) const = 0;
  /// Throws the coins. Picks one ending of the plan, unless a policy knows a way that asks for fewer rows.
  virtual verdict decide(const verification_tree& draft, const target_rows& target, const coins& from) const;
};

inline constexpr std::string_view acceptance_names =
    "coupled, greedy, gumbel, token, block, traversal, typical";
/// Null if the name is neither one of these nor registered.
std::unique_ptr<acceptance_policy> make_acceptance_policy(std::string_view name);
/// From now on this process knows the policy `name`, which a configuration may then say. False if it knew
/// that name already. `make` may be called from any thread.
bool register_acceptance_policy(const std::string& name, policy_factory<acceptance_policy> make);

} // namespace souffleur
