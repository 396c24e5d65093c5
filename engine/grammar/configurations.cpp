#include "engine/grammar/configurations.hpp"

#include <algorithm>
#include <set>

namespace souffleur::grammar {

namespace {

void sort_and_drop_repeats(std::vector<place>& places) {
  std::ranges::sort(places);
  places.erase(std::ranges::unique(places).begin(), places.end());
}

/// Of an entry of a hash map, beside its content.
constexpr std::size_t entry_bytes = 96;

} // namespace

std::size_t configurations::hash_places::operator()(const std::vector<place>& places) const {
  std::uint64_t hash = places.size();
  for (const auto& one : places) {
    hash ^= std::uint64_t{one.state} << 32 | one.stack;
    hash *= 0x9E3779B97F4A7C15U;
    hash ^= hash >> 32;
  }
  return static_cast<std::size_t>(hash);
}

configurations::configurations(std::shared_ptr<const automaton> of)
    : automaton_(std::move(of)), n_classes_(static_cast<std::size_t>(std::max(automaton_->n_classes(), 1))),
      closure_(*automaton_) {
  static const stack_node nothing_below;
  stacks_.push_back(&nothing_below);
  add_special(no_configuration);
  add_special(too_many_ways);
  closure_.begin();
  closure_.add({automaton_->start(), bottom});
  start_ = closure_.run(stacks_) ? concluded() : too_many_ways;
}

void configurations::add_special(configuration_id itself) {
  static const std::vector<place> no_places(1);
  known_.push_back({&no_places});
  table_.insert(table_.end(), n_classes_, itself);
}

configuration_id configurations::find_after(configuration_id from, std::uint8_t byte, std::size_t cell) {
  closure_.begin();
  const auto& places = *known_[from].places;
  for (std::size_t i = 1; i < places.size(); ++i)
    for (const auto& edge : automaton_->at(places[i].state).bytes)
      if (edge.first <= byte && byte <= edge.last)
        closure_.add({edge.to, places[i].stack});
  effort_ += places.size();
  const auto found = closure_.run(stacks_) ? concluded() : too_many_ways;
  table_[cell] = found;
  return found;
}

configuration_id configurations::concluded() {
  effort_ += closure_.n_places();
  auto reading = closure_.settled([&](stack_node& node) { return intern(std::move(node)); });
  return intern(std::move(reading), {nullptr, closure_.can_end(), closure_.is_exact(), closure_.n_plain()});
}

configuration_id configurations::intern(std::vector<place> reading, configuration traits) {
  if (reading.empty() && !traits.can_end)
    return no_configuration;
  sort_and_drop_repeats(reading);
  reading.insert(reading.begin(), {(traits.can_end ? state_id{1} : 0) | (traits.is_exact ? state_id{2} : 0),
                                   static_cast<stack_id>(traits.n_plain)});
  const auto next = static_cast<configuration_id>(known_.size());
  const auto [entry, is_new] = numbers_.emplace(std::move(reading), next);
  if (!is_new)
    return entry->second;
  traits.places = &entry->first;
  known_.push_back(traits);
  table_.insert(table_.end(), n_classes_, unknown);
  n_bytes_ += entry->first.size() * sizeof(place) + sizeof(configuration) + entry_bytes +
              n_classes_ * sizeof(configuration_id);
  return next;
}

stack_id configurations::intern(stack_node node) {
  sort_and_drop_repeats(node);
  const auto next = static_cast<stack_id>(stacks_.size());
  const auto [entry, is_new] = stack_numbers_.emplace(std::move(node), next);
  if (is_new) {
    stacks_.push_back(&entry->first);
    n_bytes_ += entry->first.size() * sizeof(place) + entry_bytes;
  }
  return entry->second;
}

std::optional<std::uint8_t> configurations::only_byte(configuration_id id) const {
  std::optional<std::uint8_t> only;
  const auto& places = *known_[id].places;
  for (std::size_t i = 1; i < places.size(); ++i)
    for (const auto& edge : automaton_->at(places[i].state).bytes) {
      if (edge.first != edge.last || (only && *only != edge.first))
        return std::nullopt;
      only = edge.first;
    }
  return only;
}

/// A stack has a higher number than those that it stands on.
configuration_id configurations::copied_to(configurations& other, configuration_id id) const {
  if (id <= too_many_ways)
    return id;
  auto reading = *known_[id].places;
  reading.erase(reading.begin());
  std::set<stack_id> used;
  std::vector<stack_id> todo;
  const auto use = [&](stack_id stack) {
    if (stack != bottom && used.insert(stack).second)
      todo.push_back(stack);
  };
  for (const auto& one : reading)
    use(one.stack);
  while (!todo.empty()) {
    const auto top = todo.back();
    todo.pop_back();
    for (const auto& below : *stacks_[top])
      use(below.stack);
  }
  std::unordered_map<stack_id, stack_id> numbers{{bottom, bottom}};
  for (const auto stack : used) {
    auto node = *stacks_[stack];
    for (auto& below : node)
      below.stack = numbers.at(below.stack);
    numbers.emplace(stack, other.intern(std::move(node)));
  }
  for (auto& one : reading)
    one.stack = numbers.at(one.stack);
  return other.intern(std::move(reading), known_[id]);
}

} // namespace souffleur::grammar
