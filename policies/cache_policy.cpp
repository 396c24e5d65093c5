#include "policies/cache_policy.hpp"

#include "policies/named.hpp"

#include <utility>

namespace souffleur {

namespace {

/// From this similarity on an answer is worth drafting from.
constexpr double draft_threshold = 0.7;
/// Of the weight of a question's words: README.md has what that loses and saves.
constexpr double least_wording_of_a_paraphrase = 0.35;

semantic_use draft_or_ignore(const semantic_candidate& candidate) {
  return candidate.similarity >= draft_threshold ? semantic_use::draft : semantic_use::ignore;
}

/// Nothing is cached.
class off_policy final : public cache_policy {
public:
  std::string_view name() const override { return "off"; }
  cache_mode mode() const override { return cache_mode::off; }
  semantic_decision decide(const semantic_candidate&, const semantic_demand&, double) const override {
    return {};
  }
};

/// Only the answer to the very same request.
class exact_policy final : public cache_policy {
public:
  std::string_view name() const override { return "exact"; }
  cache_mode mode() const override { return cache_mode::exact; }
  semantic_decision decide(const semantic_candidate&, const semantic_demand&, double) const override {
    return {};
  }
};

/// Whatever is similar enough, as most semantic caches do: here to be compared with.
class fixed_policy final : public cache_policy {
public:
  std::string_view name() const override { return "fixed"; }
  cache_mode mode() const override { return cache_mode::semantic; }
  semantic_decision decide(const semantic_candidate& candidate, const semantic_demand& demand,
                           double) const override {
    if (candidate.similarity >= demand.threshold)
      return {semantic_use::serve};
    return {draft_or_ignore(candidate)};
  }
};

/// Whatever is similar enough and passes the guards.
class guarded_policy final : public cache_policy {
public:
  std::string_view name() const override { return "guarded"; }
  cache_mode mode() const override { return cache_mode::semantic; }
  double least_shared_wording() const override { return least_wording_of_a_paraphrase; }
  semantic_decision decide(const semantic_candidate& candidate, const semantic_demand& demand,
                           double) const override {
    if (candidate.refused_by == guard::none && candidate.similarity >= demand.threshold)
      return {semantic_use::serve};
    return {draft_or_ignore(candidate)};
  }
};

/// Serves what keeps the promised error. An entry is served above the floor that is certified for the
/// promise, unless its own record makes it less likely right than entries without one are at that floor; or
/// if its record is long enough and proves it right often enough, whatever the floor. Where an answer is
/// about as likely right as wrong, and now and then where it would be served, one is generated and compared:
/// so records grow, and a stale entry is found out.
class bounded_policy final : public cache_policy {
public:
  explicit bounded_policy(cache_calibration calibration) : calibration_(std::move(calibration)) {}

  std::string_view name() const override { return "bounded"; }
  cache_mode mode() const override { return cache_mode::semantic; }
  double least_shared_wording() const override { return least_wording_of_a_paraphrase; }

  semantic_decision decide(const semantic_candidate& candidate, const semantic_demand& demand,
                           double coin) const override {
    if (candidate.refused_by != guard::none || demand.max_error <= 0)
      return {draft_or_ignore(candidate)};
    const threshold_belief belief{calibration_.prior, candidate.seen};
    semantic_decision decision;
    decision.right = belief.right(candidate.similarity);
    const bool serves =
        is_certified(candidate, demand, decision.right) || is_proven(candidate, demand, belief);
    if (serves && coin >= audited_share)
      decision.use = semantic_use::serve;
    else if (serves || decision.right >= least_likely_verified)
      decision = {semantic_use::draft, true, decision.right};
    else
      decision.use = draft_or_ignore(candidate);
    return decision;
  }

private:
  /// Of what would be served, what is generated all the same.
  static constexpr double audited_share = 0.02;
  static constexpr double least_likely_verified = 0.4;
  static constexpr std::size_t n_proof = 4; ///< comparisons without which nothing is proven
  static constexpr double doubt = 0.16;     ///< of the proof: one standard deviation

  bool is_certified(const semantic_candidate& candidate, const semantic_demand& demand, double right) const {
    const double floor = calibration_.floor_for(demand.max_error);
    return candidate.similarity >= floor && (candidate.seen.empty() || right >= right_at(floor));
  }

  bool is_proven(const semantic_candidate& candidate, const semantic_demand& demand,
                 const threshold_belief& belief) const {
    return candidate.seen.size() >= n_proof &&
           belief.right_at_least(candidate.similarity, doubt) >= 1 - demand.max_error;
  }

  double right_at(double similarity) const {
    return threshold_belief{calibration_.prior, {}}.right(similarity);
  }

  cache_calibration calibration_;
};

} // namespace

std::unique_ptr<cache_policy> make_cache_policy(std::string_view name, const cache_calibration& calibration) {
  if (name == "bounded")
    return std::make_unique<bounded_policy>(calibration);
  return make_named<cache_policy, off_policy, exact_policy, fixed_policy, guarded_policy>(name);
}

} // namespace souffleur
