#include "policies/scheduling_policy.hpp"

#include "policies/named.hpp"
#include "policies/tenant_accounts.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>

namespace souffleur {
namespace {

template <class Key>
std::vector<sequence_id> sorted_ids(std::span<const waiting_request> waiting, Key key) {
  std::vector<waiting_request> sorted(waiting.begin(), waiting.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const auto& a, const auto& b) { return key(a) < key(b); });
  std::vector<sequence_id> ids;
  ids.reserve(sorted.size());
  for (const auto& request : sorted) {
    ids.push_back(request.id);
  }
  return ids;
}

bool overdue(const waiting_request& request) { return request.n_passed_over >= max_passed_over; }

/// The overdue as they came, then the longest cached prefix.
auto by_prefix(const waiting_request& r) {
  return std::tuple(!overdue(r), overdue(r) ? 0 : -r.n_cached_tokens, r.arrival, r.id);
}

class fcfs_policy final : public scheduling_policy {
public:
  std::string_view name() const override { return "fcfs"; }
  std::vector<sequence_id> order(std::span<const waiting_request> waiting) const override {
    return sorted_ids(waiting, [](const waiting_request& r) { return std::tuple(r.arrival, r.id); });
  }
};

/// Most urgent first, first come first served among equals. Starves the less urgent under steady load.
class priority_policy final : public scheduling_policy {
public:
  std::string_view name() const override { return "priority"; }
  std::vector<sequence_id> order(std::span<const waiting_request> waiting) const override {
    return sorted_ids(waiting, [](const waiting_request& r) {
      return std::tuple(-static_cast<std::int64_t>(r.priority), r.arrival, r.id);
    });
  }
};

/// Longest cached prefix first: the order of a depth-first walk through the prefix tree, which finds the most
/// in the cache (SGLang, arXiv 2312.07104, theorem 3.1).
class lpm_policy final : public scheduling_policy {
public:
  std::string_view name() const override { return "lpm"; }
  bool looks_at_prefixes() const override { return true; }
  std::vector<sequence_id> order(std::span<const waiting_request> waiting) const override {
    return sorted_ids(waiting, by_prefix);
  }
};

/// Most urgent first, among equals the earliest deadline. The starvation bound holds over priorities, too.
class deadline_policy final : public scheduling_policy {
public:
  std::string_view name() const override { return "deadline"; }
  std::vector<sequence_id> order(std::span<const waiting_request> waiting) const override {
    return sorted_ids(waiting, [](const waiting_request& r) {
      const bool late = overdue(r);
      return std::tuple(!late, late ? 0 : -static_cast<std::int64_t>(r.priority), late ? 0 : r.deadline_ms,
                        r.arrival, r.id);
    });
  }
};

/// Fair between tenants, longest cached prefix first within one; after DLPM (arXiv 2501.14312). Tenants take
/// turns; one that has used up its quantum sits out until the others that wait have used up theirs. Tokens
/// that the cache saves are not charged.
class deficit_lpm_policy final : public scheduling_policy {
public:
  std::string_view name() const override { return "deficit_lpm"; }
  bool looks_at_prefixes() const override { return true; }

  std::vector<sequence_id> order(std::span<const waiting_request> waiting) const override {
    std::map<std::string_view, std::vector<waiting_request>> by_tenant;
    for (const auto& request : waiting) {
      by_tenant[request.tenant].push_back(request);
    }
    std::map<turn, queue> turns;
    for (auto& [tenant, requests] : by_tenant) {
      std::ranges::sort(requests, {}, by_prefix);
      const queue all{accounts_.of(tenant), requests};
      turns.emplace(turn_of(all.account, requests.front()), all);
    }
    std::vector<sequence_id> ids;
    ids.reserve(waiting.size());
    auto last_turn = std::numeric_limits<std::uint64_t>::max() - waiting.size();
    while (!turns.empty()) {
      auto next = turns.extract(turns.begin()).mapped();
      ids.push_back(next.waiting.front().id);
      next.account.n_served += cost_of(next.waiting.front());
      next.account.last_turn = ++last_turn;
      next.waiting = next.waiting.subspan(1);
      if (!next.waiting.empty()) {
        turns.emplace(turn_of(next.account, next.waiting.front()), next);
      }
    }
    return ids;
  }

  sequence_id first(std::span<const waiting_request> waiting) const override {
    std::unordered_map<std::string_view, const waiting_request*> first_of;
    for (const auto& request : waiting) {
      auto& best = first_of[request.tenant];
      if (best == nullptr || by_prefix(request) < by_prefix(*best)) {
        best = &request;
      }
    }
    const auto next = std::ranges::min_element(
        first_of, {}, [&](const auto& entry) { return turn_of(accounts_.of(entry.first), *entry.second); });
    return next->second->id;
  }

  bool gives_places() const override { return true; }

  /// A tenant that has nothing in the batch gets a place of the one that has the most there: its latest,
  /// which has the least to lose. Nobody loses its only place, so places do not go to and fro.
  std::optional<sequence_id> yields(std::span<const running_request> running,
                                    const waiting_request& next) const override {
    std::map<std::string_view, int> n_places;
    for (const auto& request : running) {
      ++n_places[request.tenant];
    }
    if (n_places.contains(next.tenant)) {
      return std::nullopt;
    }
    const auto most = std::ranges::max_element(n_places, {}, [](const auto& held) { return held.second; });
    if (most == n_places.end() || most->second < 2) {
      return std::nullopt;
    }
    const auto latest = std::find_if(running.rbegin(), running.rend(),
                                     [&](const auto& request) { return request.tenant == most->first; });
    return latest->id;
  }

  /// A tenant that has had no token yet of what it has in the batch, and is in the lowest round there, has
  /// the steps to itself: a step takes as long as all its rows, and who comes with little does not wait for
  /// the rows of who has much. Nearly nothing is lost by that, since the others' rows are computed later at
  /// the same cost.
  std::vector<sequence_id> sits_out(std::span<const running_request> running) const override {
    const auto shares = shares_in(running);
    if (shares.size() < 2 ||
        std::ranges::any_of(running, [](const auto& one) { return one.n_sat_out >= max_sat_out; })) {
      return {};
    }
    const auto round_of = [](const auto& held) { return held.second.round; };
    const auto lowest_round = round_of(*std::ranges::min_element(shares, {}, round_of));
    const running_request* newcomer = nullptr;
    for (const auto& request : running) {
      const auto& its = shares.at(request.tenant);
      if (!its.has_output && its.round == lowest_round &&
          (newcomer == nullptr || its.n_places < shares.at(newcomer->tenant).n_places)) {
        newcomer = &request;
      }
    }
    if (newcomer == nullptr) {
      return {};
    }
    std::vector<sequence_id> others;
    for (const auto& request : running) {
      if (request.tenant != newcomer->tenant) {
        others.push_back(request.id);
      }
    }
    return others;
  }

  void admitted(std::string_view tenant) override { accounts_.take_turn(tenant); }
  void served(std::string_view tenant, int n_tokens) override { accounts_.charge(tenant, n_tokens); }

private:
  /// What a tenant has in the batch.
  struct share {
    std::int64_t round = 0;
    int n_places = 0;
    bool has_output = false; ///< any
  };
  std::map<std::string_view, share> shares_in(std::span<const running_request> running) const {
    std::map<std::string_view, share> shares;
    for (const auto& request : running) {
      auto& its = shares[request.tenant];
      if (its.n_places++ == 0) {
        its.round = accounts_.round_of(accounts_.of(request.tenant));
      }
      its.has_output |= request.has_output;
    }
    return shares;
  }

  /// One tenant's, as they will be served; what that costs is on the account's copy.
  struct queue {
    tenant_account account;
    std::span<const waiting_request> waiting;
  };
  /// round, last turn, arrival, id
  using turn = std::tuple<std::int64_t, std::uint64_t, std::uint64_t, sequence_id>;

  turn turn_of(const tenant_account& account, const waiting_request& first) const {
    return {accounts_.round_of(account), account.last_turn, first.arrival, first.id};
  }
  static int cost_of(const waiting_request& request) {
    return std::max(request.n_prompt_tokens - request.n_cached_tokens, 0);
  }

  tenant_accounts accounts_{fair_quantum_tokens};
};

} // namespace

std::unique_ptr<scheduling_policy> make_scheduling_policy(std::string_view name) {
  return make_named<scheduling_policy, fcfs_policy, priority_policy, lpm_policy, deficit_lpm_policy,
                    deadline_policy>(name);
}

} // namespace souffleur
