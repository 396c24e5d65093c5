// Inputs that are almost as they should be.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace souffleur::fuzz {

/// Makes inputs of seeds, in an order that `seed` determines.
class mutator {
public:
  mutator(std::vector<std::string> seeds, std::uint64_t seed) : seeds_(std::move(seeds)), random_(seed) {}

  std::string next();

private:
  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
  const std::string& any_seed() { return seeds_[below(seeds_.size())]; }
  /// Changes one thing.
  void mutate(std::string& input);

  std::vector<std::string> seeds_;
  std::mt19937_64 random_;
};

} // namespace souffleur::fuzz
