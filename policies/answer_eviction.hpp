// Which answer the response cache gives up first.
#pragma once

#include "policies/eviction_policy.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

namespace souffleur {

/// What is known of a cached answer. Times are ticks of the cache's logical clock, not wall time.
struct answer_use {
  std::uint64_t created = 0;
  std::uint64_t last_used = 0;
  std::uint64_t hits = 0;
  std::uint64_t n_tokens = 0; ///< that a hit need not generate
  std::uint64_t n_bytes = 0;  ///< that it takes, with all that belongs to it
  double age = 0;             ///< the largest eviction_key::first evicted before `last_used`
};

/// Orders answers: the smallest key is evicted first. A key changes only when the answer is used.
class answer_eviction {
public:
  virtual ~answer_eviction() = default;
  virtual std::string_view name() const = 0;
  virtual eviction_key key(const answer_use& use) const = 0;
};

/// Names: "gdsf", "lru", "lfu". Null if the name is unknown.
std::unique_ptr<answer_eviction> make_answer_eviction(std::string_view name);

} // namespace souffleur
