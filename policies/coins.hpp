// Where a policy's randomness comes from.
#pragma once

#include "policies/distribution.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace souffleur {

/// What a coin is for; part of its name, so that one purpose never disturbs another. `draft` is for drafters.
enum class rng_purpose : std::uint32_t { sample = 0, accept = 1, draft = 2, gumbel = 3 };

/// Names a coin of one sequence; seed and name fix its value. A coin that a step has looked at is spent:
/// given what that step emitted its value is no longer uniform, so no later step may look at it again.
struct coin {
  int offset = 0; ///< of the position, from that of the first token that the step emits
  rng_purpose purpose = rng_purpose::sample;
  std::uint32_t index = 0;
};

/// The coins of one step of one sequence. Virtual so that tests can follow every outcome.
class coins {
public:
  virtual ~coins() = default;
  /// One of the indices, each with its probability (they sum to 1); 0 if there are none.
  virtual std::size_t pick(const coin& which, std::span<const double> probabilities) const = 0;
  /// One of the law's tokens, each with its probability, by the Gumbel-max trick: every token has a coin
  /// {offset, gumbel, token}. Two laws p and q that are drawn from with the same coins give the same token
  /// with a probability of at least (1 − d) / (1 + d), where d is their total variation distance (Daliri,
  /// Musco and Suresh 2024, "Coupling without communication and drafter-invariant speculative decoding").
  virtual token_id race(int offset, const distribution& law) const = 0;
};

/// Coins that are numbers.
class uniform_coins final : public coins {
public:
  /// `uniform` gives a number in (0, 1) that depends on the seed, the coin's position, purpose and index
  /// alone.
  explicit uniform_coins(std::function<double(const coin&)> uniform) : uniform_(std::move(uniform)) {}

  std::size_t pick(const coin& which, std::span<const double> probabilities) const override;
  token_id race(int offset, const distribution& law) const override;

private:
  std::function<double(const coin&)> uniform_;
};

/// One of the law's tokens with its probability; an empty law gives 0.
token_id draw(const coins& from, const coin& which, const distribution& law);

} // namespace souffleur
