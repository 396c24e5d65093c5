#include "policies/cache_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

using namespace souffleur;

namespace {

/// What a candidate is, with a record of its own.
struct candidate_with_record {
  double similarity = 0;
  bool passes_guards = true;
  entry_record record;
  semantic_candidate view() const {
    return {similarity, passes_guards ? guard::none : guard::negation, record.seen()};
  }
};

candidate_with_record any_candidate() {
  candidate_with_record made;
  made.similarity = *rc::gen::inRange(50, 101) / 100.0;
  made.passes_guards = *rc::gen::inRange(0, 4) > 0;
  const int n = *rc::gen::inRange(0, 12);
  const int n_of_8_wrong = *rc::gen::inRange(0, 4);
  for (int i = 0; i < n; ++i)
    made.record.note(*rc::gen::inRange(60, 100) / 100.0,
                     *rc::gen::inRange(0, 8) < n_of_8_wrong ? likeness::different : likeness::same);
  return made;
}

/// As calibration makes them: thresholds fall as promises get weaker.
cache_calibration any_calibration() {
  cache_calibration made;
  made.prior = {*rc::gen::inRange(70, 95) / 100.0, *rc::gen::inRange(2, 15) / 100.0,
                static_cast<double>(*rc::gen::inRange(10, 80))};
  double threshold = *rc::gen::element(2.0, 0.99, 0.95);
  for (const double promise : {0.005, 0.01, 0.02, 0.05}) {
    made.floors.push_back({promise, threshold});
    threshold = std::min(threshold, *rc::gen::inRange(70, 101) / 100.0);
  }
  return made;
}

double any_promise() { return *rc::gen::element(0.0, 0.004, 0.005, 0.01, 0.015, 0.02, 0.05); }
double any_coin() { return *rc::gen::inRange(0, 100) / 100.0; }

std::unique_ptr<cache_policy> any_semantic_policy(const cache_calibration& calibration) {
  return make_cache_policy(*rc::gen::element("fixed", "guarded", "bounded"), calibration);
}

bool serves(const cache_policy& policy, const candidate_with_record& candidate, const semantic_demand& demand,
            double coin) {
  return policy.decide(candidate.view(), demand, coin).use == semantic_use::serve;
}

} // namespace

TEST(CachePolicy, IsMadeByName) {
  for (const std::string_view name : {"off", "exact", "fixed", "guarded", "bounded"})
    EXPECT_EQ(make_cache_policy(name)->name(), name);
  EXPECT_EQ(make_cache_policy("fuzzy"), nullptr);
  EXPECT_EQ(make_cache_policy("off")->mode(), cache_mode::off);
  EXPECT_EQ(make_cache_policy("exact")->mode(), cache_mode::exact);
  EXPECT_EQ(make_cache_policy("bounded")->mode(), cache_mode::semantic);
}

// C4. Planted bugs that it caught: guards not asked; a floor too low, or of a weaker promise; the record
// not looked at.
RC_GTEST_PROP(CachePolicy, ServesOnlyWhatItsRuleAllows, ()) {
  const auto calibration = any_calibration();
  const auto candidate = any_candidate();
  const semantic_demand demand{*rc::gen::inRange(50, 101) / 100.0, any_promise()};
  const double s = candidate.similarity;
  if (serves(*make_cache_policy("fixed"), candidate, demand, any_coin()))
    RC_ASSERT(s >= demand.threshold);
  if (serves(*make_cache_policy("guarded"), candidate, demand, any_coin()))
    RC_ASSERT(s >= demand.threshold && candidate.passes_guards);
  if (serves(*make_cache_policy("bounded", calibration), candidate, demand, any_coin())) {
    const threshold_belief belief{calibration.prior, candidate.record.seen()};
    const threshold_belief usual{calibration.prior, {}};
    const double floor = calibration.floor_for(demand.max_error);
    const bool certified = s >= floor && belief.right(s) >= usual.right(floor) - 1e-12;
    const bool proven =
        candidate.record.seen().size() >= 4 && belief.right_at_least(s, 0.16) >= 1 - demand.max_error;
    RC_ASSERT(candidate.passes_guards && demand.max_error > 0 && (certified || proven));
  }
}

// C4.
RC_GTEST_PROP(CachePolicy, AStricterDemandNeverMakesAHit, ()) {
  const auto policy = any_semantic_policy(any_calibration());
  const auto candidate = any_candidate();
  const double coin = any_coin();
  const semantic_demand weak{*rc::gen::inRange(50, 101) / 100.0, any_promise()};
  auto strict = weak;
  strict.threshold += *rc::gen::inRange(0, 30) / 100.0;
  strict.max_error = std::min(strict.max_error, any_promise());
  auto less_alike = candidate;
  less_alike.similarity -= *rc::gen::inRange(0, 30) / 100.0;
  auto refused = candidate;
  refused.passes_guards = false;
  if (serves(*policy, candidate, weak, coin))
    return;
  RC_ASSERT(!serves(*policy, candidate, strict, coin));
  RC_ASSERT(!serves(*policy, less_alike, weak, coin));
  RC_ASSERT(!serves(*policy, refused, weak, coin));
}

// C15, C16. Planted bug that it caught: a served answer that is also verified.
RC_GTEST_PROP(CachePolicy, VerifiesOnlyWhatIsGeneratedAnyway, ()) {
  const auto policy = any_semantic_policy(any_calibration());
  const auto candidate = any_candidate();
  const semantic_demand demand{1.01, any_promise()};
  const auto decision = policy->decide(candidate.view(), demand, any_coin());
  RC_ASSERT(!decision.verify || decision.use == semantic_use::draft);
  RC_ASSERT(!decision.verify || candidate.passes_guards);
  RC_ASSERT(demand.max_error > 0 || decision.use != semantic_use::serve);
}

// C16. Planted bug that it caught: an unknown outcome that promotes.
TEST(CachePolicy, PromotesApprovedAnswersOnly) {
  EXPECT_TRUE(promotes(likeness::same));
  EXPECT_FALSE(promotes(likeness::different));
  EXPECT_FALSE(promotes(likeness::unknown));
  entry_record record;
  record.note(0.9, likeness::unknown);
  EXPECT_TRUE(record.seen().empty());
}

TEST(CachePolicy, AnEntryThatWentStaleIsNotServedAnyMore) {
  cache_calibration calibration;
  calibration.floors = {{0.02, 0.9}};
  const auto policy = make_cache_policy("bounded", calibration);
  candidate_with_record entry;
  entry.similarity = 0.93;
  ASSERT_TRUE(serves(*policy, entry, {0.9, 0.02}, 0.5));
  entry.record.note(0.93, likeness::different);
  EXPECT_FALSE(serves(*policy, entry, {0.9, 0.02}, 0.5));
  for (int i = 0; i < 30; ++i)
    entry.record.note(0.85, likeness::same);
  EXPECT_TRUE(serves(*policy, entry, {0.9, 0.02}, 0.5)) << "one mistake of many is forgiven";
}

TEST(CachePolicy, ARecordServesBelowTheFloor) {
  const auto policy = make_cache_policy("bounded", {}); // nothing is certified
  candidate_with_record entry;
  entry.similarity = 0.9;
  const auto before = policy->decide(entry.view(), {0.9, 0.02}, 0.5);
  EXPECT_EQ(before.use, semantic_use::draft);
  EXPECT_TRUE(before.verify);
  for (int i = 0; i < 8; ++i)
    entry.record.note(0.72, likeness::same);
  EXPECT_TRUE(serves(*policy, entry, {0.9, 0.02}, 0.5));
}

namespace {

/// Entries with thresholds of their own, asked about in proportion to 1 / rank.
class population {
public:
  population(double spread, double slope, std::uint64_t seed) : slope_(slope), random_(seed) {
    std::normal_distribution<double> threshold{0.8, spread};
    for (int i = 0; i < n_entries; ++i)
      entries_.push_back({threshold(random_), {}});
  }

  /// A request: an entry, how similar it is, and whether its answer is right.
  struct request {
    std::size_t entry = 0;
    double similarity = 0;
    bool right = false;
  };
  request next() {
    request made;
    made.entry = static_cast<std::size_t>(std::pow(n_entries, uniform())) - 1;
    made.similarity = 0.6 + 0.4 * uniform();
    made.right = uniform() < 1 / (1 + std::exp(-slope_ * (made.similarity - entries_[made.entry].threshold)));
    return made;
  }
  double uniform() { return std::uniform_real_distribution<double>{}(random_); }
  entry_record& record(std::size_t entry) { return entries_[entry].record; }

private:
  static constexpr int n_entries = 300;
  struct entry {
    double threshold = 0;
    entry_record record;
  };
  double slope_;
  std::mt19937_64 random_;
  std::vector<entry> entries_;
};

struct tally {
  int n_hits = 0;
  int n_errors = 0;
};

tally served_from(population& from, const cache_policy& policy, double max_error, int n_requests) {
  tally counts;
  for (int i = 0; i < n_requests; ++i) {
    const auto request = from.next();
    auto& record = from.record(request.entry);
    const auto decision =
        policy.decide({request.similarity, guard::none, record.seen()}, {0.9, max_error}, from.uniform());
    if (decision.use == semantic_use::serve) {
      ++counts.n_hits;
      counts.n_errors += request.right ? 0 : 1;
    } else if (decision.verify) {
      record.note(request.similarity, request.right ? likeness::same : likeness::different);
    }
  }
  return counts;
}

} // namespace

// C7. Planted bugs that it caught: the mean in place of the lower bound with a record of one; floors too
// low.
TEST(BoundedPolicy, KeepsItsPromiseOverTimeEvenWhereItsLawIsNotTheTruth) {
  constexpr int n_requests = 4000;
  for (const auto basis : {error_basis::per_request, error_basis::per_hit})
    for (const double spread : {0.03, 0.10})
      for (const double slope : {25.0, 400.0 /* a step */}) {
        int n_hits_before = 0;
        for (const double max_error : {0.01, 0.02, 0.05}) {
          population from{spread, slope, 5};
          std::vector<labelled_lookup> lookups;
          for (int i = 0; i < 2000; ++i) {
            const auto request = from.next();
            lookups.push_back({request.similarity, true, request.right});
          }
          const std::vector<double> promises = {max_error};
          const auto policy = make_cache_policy("bounded", calibrate(lookups, promises, 0.95, basis));
          const auto counts = served_from(from, *policy, max_error, n_requests);
          const int n = basis == error_basis::per_hit ? counts.n_hits : n_requests;
          EXPECT_LE(counts.n_errors, max_error * n + 3 * std::sqrt(max_error * n))
              << spread << ' ' << slope << ' ' << max_error << ' ' << counts.n_hits;
          EXPECT_GE(counts.n_hits, 0.9 * n_hits_before);
          n_hits_before = counts.n_hits;
        }
        EXPECT_GT(n_hits_before, 0);
      }
}
