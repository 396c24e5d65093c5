// Which drafted tokens stand.
#pragma once

#include "policies/distribution.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace souffleur {

/// What a policy makes of one row before any coin is thrown: pure, so its law can be enumerated exactly.
struct row_plan {
  std::optional<token_id> drafted; ///< none on the bonus row
  double accept_probability = 0;   ///< of `drafted`
  distribution emitted;            ///< law of the row's token; coupled policies draw from it and compare
  bool coupled = false;            ///< true: draw first, accept if the draw equals `drafted`
};

/// The outcome of one row: the token that is emitted, and whether it was the drafted one.
struct row_verdict {
  token_id token = 0;
  bool accepted = false;
};

/// Decides row by row along a chain of drafted tokens. Stateless and thread-safe.
class acceptance_policy {
public:
  virtual ~acceptance_policy() = default;
  virtual std::string_view name() const = 0;
  /// True if the emitted tokens follow the target's law whatever was drafted.
  virtual bool lossless() const = 0;
  virtual row_plan plan(const distribution& target, std::optional<token_id> drafted) const = 0;
  /// Throws the row's only coin. `uniform` is in (0, 1) and depends on (seed, position) alone.
  virtual row_verdict decide(const row_plan& plan, double uniform) const = 0;
};

/// Names: "greedy", "coupled". Null if the name is unknown.
std::unique_ptr<acceptance_policy> make_acceptance_policy(std::string_view name);

/// The tokens that one verification step emits: the accepted draft prefix, then one of the target's own.
struct chain_verdict {
  std::vector<token_id> tokens; ///< 1 ≤ size ≤ draft.size() + 1
  int n_accepted = 0;           ///< how many of them were drafted
};

/// Walks a drafted chain. `target_row(i)` gives the processed distribution of row i (given draft[0..i)); it
/// is asked in order and never beyond the first rejection. `uniform(i)` is the coin of row i.
chain_verdict verify_chain(const acceptance_policy& policy, std::span<const token_id> draft,
                           const std::function<const distribution&(int)>& target_row,
                           const std::function<double(int)>& uniform);

} // namespace souffleur
