#include "policies/coins.hpp"

#include <cmath>
#include <limits>

namespace souffleur {

std::size_t uniform_coins::pick(const coin& which, std::span<const double> probabilities) const {
  return index_at(probabilities, uniform_(which));
}

token_id uniform_coins::race(int offset, const distribution& law) const {
  // log p + Gumbel is largest where an exponential time of rate p is shortest.
  token_id winner = 0;
  double shortest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < law.tokens.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(law.tokens[i]);
    const double time = -std::log(uniform_({offset, rng_purpose::gumbel, index})) / law.probabilities[i];
    if (time < shortest) {
      shortest = time;
      winner = law.tokens[i];
    }
  }
  return winner;
}

token_id draw(const coins& from, const coin& which, const distribution& law) {
  return law.tokens.empty() ? 0 : law.tokens[from.pick(which, law.probabilities)];
}

} // namespace souffleur
