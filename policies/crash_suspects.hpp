// Which of the sequences of a step makes the model crash?
#pragma once

#include "policies/token.hpp"

#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// Group testing. A step that crashed makes all that it had suspects; they are halved and tried apart, in
/// turns with those that nobody suspects, until each has survived a step or is alone. Who crashed so often
/// alone is guilty. So a guilty one costs about log2(batch) + max_alone crashes, and nobody else ends.
///
/// Crashes that a guilty one was there at count as explained, each once, as soon as a step has survived
/// without it: then it was not the model.
class crash_suspects {
public:
  explicit crash_suspects(int max_alone) : max_alone_(max_alone) {}

  /// Of those that want to take part in the next step, who may. Some, if there are any.
  std::vector<sequence_id> admitted(std::span<const sequence_id> wanting);
  /// Says who is guilty.
  std::vector<sequence_id> crashed(std::span<const sequence_id> step);
  void survived(std::span<const sequence_id> step);
  /// It has ended.
  void forget(sequence_id id);
  bool empty() const { return groups_.empty(); }
  /// Since the last call.
  int take_explained();

private:
  using group = std::vector<sequence_id>;

  std::vector<sequence_id> clean_ones(std::span<const sequence_id> wanting) const;
  void remove(sequence_id id);

  int max_alone_;
  std::deque<group> groups_; ///< disjoint, none is empty; the front is tried first
  bool clean_are_next_ = false;
  std::unordered_map<sequence_id, int> n_crashes_; ///< that it was in, since it was last unsuspected
  std::unordered_map<sequence_id, int> n_alone_;
  int n_unexplained_ = 0;
  int n_found_ = 0; ///< explained once a step survives
  int n_explained_ = 0;
};

} // namespace souffleur
