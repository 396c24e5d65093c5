#include "policies/scheduling_policy.hpp"

#include <algorithm>
#include <tuple>

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

} // namespace

std::unique_ptr<scheduling_policy> make_scheduling_policy(std::string_view name) {
  if (name == "fcfs") {
    return std::make_unique<fcfs_policy>();
  }
  if (name == "priority") {
    return std::make_unique<priority_policy>();
  }
  return nullptr;
}

} // namespace souffleur
