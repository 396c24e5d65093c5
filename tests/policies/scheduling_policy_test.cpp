#include "policies/scheduling_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <ranges>
#include <string>

using namespace souffleur;

namespace {

const std::array<std::string, 4> tenants{"a", "b", "c", "d"};

const std::string& any_tenant() { return tenants[*rc::gen::inRange<std::size_t>(0, tenants.size())]; }

std::vector<waiting_request> any_queue() {
  const auto n = *rc::gen::inRange<sequence_id>(0, 20);
  std::vector<waiting_request> waiting;
  for (sequence_id id = 0; id < n; ++id) {
    waiting_request request;
    request.id = id;
    request.arrival = *rc::gen::inRange<std::uint64_t>(0, 9);
    request.priority =
        *rc::gen::element(-1, 0, 3, std::numeric_limits<int>::min(), std::numeric_limits<int>::max());
    request.n_prompt_tokens = *rc::gen::inRange(1, 2000);
    request.n_cached_tokens = *rc::gen::inRange(0, request.n_prompt_tokens);
    request.n_passed_over = *rc::gen::inRange(0, 2 * max_passed_over);
    request.deadline_ms = *rc::gen::inRange<std::int64_t>(-5, 5);
    request.tenant = any_tenant();
    waiting.push_back(request);
  }
  return waiting;
}

bool overdue(const waiting_request& request) { return request.n_passed_over >= max_passed_over; }

/// Whether `a` may stand directly before `b`; with "deficit_lpm" they are of one tenant.
bool in_order(std::string_view policy, const waiting_request& a, const waiting_request& b) {
  if (policy == "fcfs") {
    return a.arrival <= b.arrival;
  }
  if (policy == "priority") {
    return std::pair(-std::int64_t{a.priority}, a.arrival) <= std::pair(-std::int64_t{b.priority}, b.arrival);
  }
  if (overdue(a) || overdue(b)) {
    return overdue(a) && (!overdue(b) || a.arrival <= b.arrival);
  }
  if (policy == "deadline") {
    return std::tuple(-std::int64_t{a.priority}, a.deadline_ms, a.arrival) <=
           std::tuple(-std::int64_t{b.priority}, b.deadline_ms, b.arrival);
  }
  return std::pair(-a.n_cached_tokens, a.arrival) <= std::pair(-b.n_cached_tokens, b.arrival);
}

} // namespace

/// Planted bugs that it caught: a tenant's last request left out of the order; a first that is its tenant's
/// first to arrive, or of the tenant that was served least.
RC_GTEST_PROP(SchedulingPolicy, GivesAPermutationInItsOrder, ()) {
  const auto waiting = any_queue();
  for (const char* name : {"fcfs", "priority", "lpm", "deficit_lpm", "deadline"}) {
    const auto policy = make_scheduling_policy(name);
    for (const auto& request : waiting) {
      policy->served(request.tenant, request.n_prompt_tokens);
    }
    const auto order = policy->order(waiting);
    if (!waiting.empty()) {
      RC_ASSERT(policy->first(waiting) == order.front());
    }
    auto sorted = order;
    std::ranges::sort(sorted);
    RC_ASSERT(sorted.size() == waiting.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      RC_ASSERT(sorted[i] == i);
    }
    std::map<std::string_view, sequence_id> previous; // by tenant, where tenants matter
    for (const auto id : order) {
      const auto& b = waiting[id];
      const auto queue = std::string_view(name) == "deficit_lpm" ? b.tenant : "";
      if (const auto a = previous.find(queue); a != previous.end()) {
        RC_ASSERT(in_order(name, waiting[a->second], b));
      }
      previous[queue] = id;
    }
  }
}

/// The more attractive keep coming: hot prefixes, high priorities. Planted bugs that it caught: no bound; a
/// bound that the priority overrules; the overdue not as they came.
RC_GTEST_PROP(SchedulingPolicy, PassesNobodyOverBeyondTheBound, ()) {
  const std::string name = *rc::gen::element<std::string>("lpm", "deficit_lpm", "deadline");
  const auto policy = make_scheduling_policy(name);
  const auto n_at_once = *rc::gen::inRange<std::size_t>(1, 5);
  const auto n_queued = *rc::gen::inRange<std::size_t>(n_at_once, 30);
  const auto n_tenants = *rc::gen::inRange<std::size_t>(1, tenants.size());
  const auto seed = *rc::gen::arbitrary<unsigned>();
  const bool per_tenant = name == "deficit_lpm";
  std::vector<waiting_request> waiting;
  for (sequence_id n_arrived = 0; n_arrived < 300;) {
    for (; waiting.size() < n_queued; ++n_arrived) {
      const auto random = (n_arrived + 1) * 2654435761U ^ seed;
      waiting_request request;
      request.id = n_arrived;
      request.arrival = n_arrived;
      const bool attractive = n_arrived >= n_queued || random % 8 > 0;
      request.priority = attractive ? static_cast<int>(n_arrived) : 0;
      request.n_prompt_tokens = 400;
      request.n_cached_tokens = attractive ? static_cast<int>(n_arrived) : 0;
      request.deadline_ms = -static_cast<std::int64_t>(n_arrived);
      request.tenant = tenants[random / 8 % n_tenants];
      waiting.push_back(request);
    }
    const auto order = policy->order(waiting);
    for (std::size_t i = 0; i < n_at_once; ++i) {
      const auto served = std::ranges::find(waiting, order[i], &waiting_request::id);
      const auto one = *served;
      waiting.erase(served);
      policy->admitted(one.tenant);
      policy->served(one.tenant, one.n_prompt_tokens - one.n_cached_tokens);
      for (auto& other : waiting) {
        if (other.arrival < one.arrival && (!per_tenant || other.tenant == one.tenant)) {
          ++other.n_passed_over;
          RC_ASSERT(other.n_passed_over <= max_passed_over + static_cast<int>(n_at_once) - 1);
        }
      }
    }
  }
}

namespace {

struct work {
  waiting_request request;
  int n_output = 0;
  int n_left = 0; ///< tokens to compute, the output last
  int n_sat_out = 0;
};

/// Tenants that always have requests waiting, and a batch with a few places.
class backlogged_tenants {
public:
  backlogged_tenants(std::size_t n_tenants, int n_places, int n_prompt_max, int n_output_max, unsigned seed)
      : n_tenants_(n_tenants), n_places_(n_places), n_prompt_max_(n_prompt_max), n_output_max_(n_output_max),
        random_(seed) {}

  /// One more tenant joins; its difference to the others counts from now.
  void join() {
    ++n_tenants_;
    at_join_ = served_;
  }

  void step() {
    while (batch_.size() < static_cast<std::size_t>(n_places_)) {
      refill();
      std::vector<waiting_request> views;
      for (const auto& [id, one] : waiting_) {
        views.push_back(one.request);
      }
      const auto first = waiting_.extract(policy_->order(views).front()).mapped();
      policy_->admitted(first.request.tenant);
      batch_.push_back(first);
    }
    std::vector<running_request> running;
    for (const auto& one : batch_) {
      running.push_back({one.request.id, one.request.tenant, one.n_left <= one.n_output, one.n_sat_out});
    }
    const auto sitting_out = policy_->sits_out(running);
    RC_ASSERT(sitting_out.size() < batch_.size());
    for (auto& one : batch_) {
      const bool sits_out = std::ranges::count(sitting_out, one.request.id) > 0;
      one.n_sat_out = sits_out ? one.n_sat_out + 1 : 0;
      RC_ASSERT(one.n_sat_out <= max_sat_out);
      if (sits_out) {
        continue;
      }
      const int n = std::min(one.n_left, 1 + static_cast<int>(random(64)));
      one.n_left -= n;
      policy_->served(one.request.tenant, n);
      served_[std::string(one.request.tenant)] += n;
    }
    std::erase_if(batch_, [](const work& one) { return one.n_left == 0; });
  }

  /// Of the tokens since the last join, between any two tenants.
  std::int64_t largest_difference() {
    std::int64_t least = std::numeric_limits<std::int64_t>::max(), most = 0;
    for (std::size_t t = 0; t < n_tenants_; ++t) {
      const auto since = served_[tenants[t]] - at_join_[tenants[t]];
      least = std::min(least, since);
      most = std::max(most, since);
    }
    return most - least;
  }

private:
  std::uint64_t random(std::uint64_t n) {
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random_ >> 33) % n;
  }

  void refill() {
    for (std::size_t t = 0; t < n_tenants_; ++t) {
      const auto n_waiting = std::ranges::count_if(
          waiting_, [&](const auto& entry) { return entry.second.request.tenant == tenants[t]; });
      for (auto n = n_waiting; n < 3; ++n) {
        work one;
        one.request.id = one.request.arrival = n_arrived_++;
        one.request.n_prompt_tokens = 1 + static_cast<int>(random(static_cast<unsigned>(n_prompt_max_)));
        one.request.n_cached_tokens =
            static_cast<int>(random(static_cast<unsigned>(one.request.n_prompt_tokens)));
        one.request.tenant = tenants[t];
        one.n_output = static_cast<int>(random(static_cast<unsigned>(n_output_max_)));
        one.n_left = one.request.n_prompt_tokens - one.request.n_cached_tokens + one.n_output;
        waiting_.emplace(one.request.id, one);
      }
    }
  }

  std::unique_ptr<scheduling_policy> policy_ = make_scheduling_policy("deficit_lpm");
  std::size_t n_tenants_;
  int n_places_;
  int n_prompt_max_;
  int n_output_max_;
  std::uint64_t random_;
  sequence_id n_arrived_ = 0;
  std::map<sequence_id, work> waiting_;
  std::vector<work> batch_;
  std::map<std::string, std::int64_t> served_;
  std::map<std::string, std::int64_t> at_join_;
};

} // namespace

/// The law of deficit round robin, and that nobody in the batch sits out for long. Planted bugs that it
/// caught: no bound to sitting out; all sit out; what was served not charged; who comes late begins at zero
/// and is owed all that the others had; the tenants' turns without their rounds.
RC_GTEST_PROP(SchedulingPolicy, ServesBackloggedTenantsAlike, ()) {
  const int n_places = *rc::gen::inRange(1, 5);
  const int n_prompt_max = *rc::gen::element(20, 300, 3000);
  const int n_output_max = *rc::gen::element(1, 20, 300);
  const auto n_tenants = *rc::gen::inRange<std::size_t>(1, tenants.size());
  const auto n_steps_before_join = *rc::gen::inRange(1, 1500);
  backlogged_tenants all{n_tenants, n_places, n_prompt_max, n_output_max, *rc::gen::arbitrary<unsigned>()};
  const std::int64_t bound = fair_quantum_tokens + n_places * (n_prompt_max + n_output_max);
  for (int i = 0; i < n_steps_before_join; ++i) {
    all.step();
    RC_ASSERT(all.largest_difference() < bound);
  }
  all.join();
  for (int i = 0; i < 1500; ++i) {
    all.step();
    RC_ASSERT(all.largest_difference() < 2 * bound);
  }
}

/// Planted bugs that it caught: a tenant loses its only place; a tenant with a place gets another's.
RC_GTEST_PROP(SchedulingPolicy, APlaceGoesOnlyFromWhoHasTheMostToWhoHasNone, ()) {
  const auto n = *rc::gen::inRange<sequence_id>(0, 12);
  std::vector<running_request> running;
  std::map<std::string_view, int> n_places;
  for (sequence_id id = 0; id < n; ++id) {
    running.push_back({id, any_tenant(), false, 0});
    ++n_places[running.back().tenant];
  }
  waiting_request next;
  next.id = n;
  next.tenant = any_tenant();
  const int n_most = n_places.empty() ? 0 : std::ranges::max(n_places | std::views::values);
  const auto leaves = make_scheduling_policy("deficit_lpm")->yields(running, next);
  RC_ASSERT(leaves.has_value() == (!n_places.contains(next.tenant) && n_most > 1));
  if (leaves) {
    const auto& tenant = running[*leaves].tenant;
    RC_ASSERT(n_places[tenant] == n_most);
    RC_ASSERT(std::none_of(running.begin() + static_cast<std::ptrdiff_t>(*leaves) + 1, running.end(),
                           [&](const auto& later) { return later.tenant == tenant; }));
  }
  for (const char* name : {"fcfs", "priority", "lpm", "deadline"}) {
    RC_ASSERT(!make_scheduling_policy(name)->gives_places());
    RC_ASSERT(!make_scheduling_policy(name)->yields(running, next));
  }
}

/// Planted bugs that it caught: others sit out for a tenant that has had a token, or whose round is not the
/// lowest; the newcomer's own requests sit out; who has more places goes first; somebody sits out who has
/// done so often enough.
RC_GTEST_PROP(SchedulingPolicy, OthersSitOutOnlyForATenantWithNothingYetWhoseTurnItIs, ()) {
  const auto policy = make_scheduling_policy("deficit_lpm");
  std::map<std::string_view, int> rounds;
  for (const auto& tenant : tenants) {
    const int n_served = *rc::gen::inRange(0, 2 * fair_quantum_tokens);
    policy->served(tenant, n_served);
    rounds[tenant] = n_served / fair_quantum_tokens;
  }
  const auto n = *rc::gen::inRange<sequence_id>(0, 10);
  std::vector<running_request> running;
  std::map<std::string_view, bool> has_output;
  bool enough = false;
  for (sequence_id id = 0; id < n; ++id) {
    running.push_back({id, any_tenant(), *rc::gen::weightedElement<bool>({{4, false}, {1, true}}),
                       *rc::gen::weightedElement<int>({{40, 0}, {40, max_sat_out - 1}, {1, max_sat_out}})});
    has_output[running.back().tenant] |= running.back().has_output;
    enough |= running.back().n_sat_out == max_sat_out;
  }
  int lowest = std::numeric_limits<int>::max();
  for (const auto& [tenant, _] : has_output) {
    lowest = std::min(lowest, rounds[tenant]);
  }
  const auto is_newcomer = [&](const auto& entry) { return !entry.second && rounds[entry.first] == lowest; };
  const auto sitting_out = policy->sits_out(running);
  RC_ASSERT(sitting_out.empty() ==
            (enough || has_output.size() < 2 || std::ranges::none_of(has_output, is_newcomer)));
  if (!sitting_out.empty()) {
    std::map<std::string_view, bool> computes;
    for (const auto& request : running) {
      if (std::ranges::count(sitting_out, request.id) == 0) {
        computes[request.tenant] = has_output[request.tenant];
      }
    }
    RC_ASSERT(computes.size() == 1U);
    RC_ASSERT(is_newcomer(*computes.begin()));
    const auto n_places = [&](std::string_view tenant) {
      return std::ranges::count(running, tenant, &running_request::tenant);
    };
    const auto n_its = n_places(computes.begin()->first);
    for (const auto& other : has_output) {
      RC_ASSERT(!is_newcomer(other) || n_places(other.first) >= n_its);
    }
    RC_ASSERT(sitting_out.size() + static_cast<std::size_t>(n_its) == running.size());
  }
  for (const char* name : {"fcfs", "priority", "lpm", "deadline"}) {
    RC_ASSERT(make_scheduling_policy(name)->sits_out(running).empty());
  }
}

TEST(SchedulingPolicy, SendsATenantsFirstRequestBeforeAnothersHundred) {
  const auto policy = make_scheduling_policy("deficit_lpm");
  std::vector<waiting_request> waiting;
  for (sequence_id id = 0; id < 100; ++id) {
    waiting.push_back({id, id, 0, 50, 0, 0, 0, "many"});
  }
  for (sequence_id id = 0; id < 40; ++id) {
    policy->admitted("many");
    policy->served("many", 50);
  }
  waiting.push_back({100, 100, 0, 50, 0, 0, 0, "one"});
  EXPECT_EQ(policy->order(std::span(waiting).subspan(40)).front(), 100U);
}

/// Planted bug that it caught: an order that does not count what it has given out.
TEST(SchedulingPolicy, SharesTokensNotRequests) {
  std::vector<waiting_request> waiting;
  for (sequence_id id = 0; id < 3; ++id) {
    waiting.push_back({id, id, 0, 2 * fair_quantum_tokens, 0, 0, 0, "long"});
  }
  for (sequence_id id = 3; id < 9; ++id) {
    waiting.push_back({id, id, 0, fair_quantum_tokens / 2, 0, 0, 0, "short"});
  }
  const std::vector<sequence_id> fair{0, 3, 4, 5, 6, 1, 7, 8, 2};
  EXPECT_EQ(make_scheduling_policy("deficit_lpm")->order(waiting), fair);
}

TEST(SchedulingPolicy, IsMadeByNameOnly) { EXPECT_EQ(make_scheduling_policy("lifo"), nullptr); }
