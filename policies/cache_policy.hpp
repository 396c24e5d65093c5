// Whether the answer to a similar question is served, and what its use or disuse teaches.
#pragma once

#include "policies/cacheability.hpp"
#include "policies/calibration.hpp"
#include "policies/lexical_guards.hpp"
#include "policies/similarity_law.hpp"

#include <memory>
#include <span>
#include <string_view>

namespace souffleur {

/// A stored answer in the request's partition, not expired, whose question is near the one that is asked.
struct semantic_candidate {
  double similarity = 0; ///< cosine of the two questions
  guard refused_by = guard::none;
  std::span<const graded> seen{}; ///< the record of the entry
};

/// What the request allows (`cache_permit`).
struct semantic_demand {
  double threshold = 0.9;
  double max_error = 0.01;
};

enum class semantic_use : std::uint8_t {
  ignore, ///< generate
  draft,  ///< generate, and let the answer be drafted from: that is never wrong
  serve   ///< in place of generating
};

struct semantic_decision {
  semantic_use use = semantic_use::ignore;
  /// The generated answer is to be compared with the stored one, when there is time, and the outcome noted in
  /// the entry's record. Never with `serve`.
  bool verify = false;
  double right = 0; ///< the probability that the answer would do, where the policy estimates it
};

class cache_policy {
public:
  virtual ~cache_policy() = default;
  virtual std::string_view name() const = 0;
  /// What has to be looked up for it.
  virtual cache_mode mode() const = 0;
  /// A stored question that has less of the asked one's wording need not be found: that saves embedding a
  /// question to which nothing is near. 0: all are to be found, whatever their words.
  virtual double least_shared_wording() const { return 0; }
  /// `coin` is uniform in [0, 1), independent of everything else. With the same coin, a lower max_error, a
  /// higher threshold, a lower similarity or a guard's refusal never turn another use into `serve`.
  virtual semantic_decision decide(const semantic_candidate& candidate, const semantic_demand& demand,
                                   double coin) const = 0;
};

/// A question for which a stored answer was found to do is stored, too, and shares that answer: the next one
/// like it has a nearer neighbour.
constexpr bool promotes(likeness outcome) { return outcome == likeness::same; }

/// Names: "off", "exact", "fixed", "guarded", "bounded". Null if the name is unknown. Only "bounded" looks at
/// the calibration.
std::unique_ptr<cache_policy> make_cache_policy(std::string_view name,
                                                const cache_calibration& calibration = {});

} // namespace souffleur
