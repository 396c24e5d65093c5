// All that an automaton can be in after some bytes, found and numbered as they are met.
#pragma once

#include "engine/grammar/automaton.hpp"
#include "engine/grammar/closure.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace souffleur::grammar {

using configuration_id = std::uint32_t;
/// Nothing that begins with what was read fits.
inline constexpr configuration_id no_configuration = 0;
/// More ways at once than are followed.
inline constexpr configuration_id too_many_ways = 1;

/// A configuration is a set of places. Stacks are shared between configurations and merged where the same
/// rule was called at the same byte (graph-structured stacks, Tomita 1985), so their number stays polynomial.
/// Equal configurations have one number: reading a byte is mostly one look into a table.
///
/// Not thread-safe. A number is a snapshot: nothing that is read later changes what it stands for.
class configurations {
public:
  explicit configurations(std::shared_ptr<const automaton> of);

  configuration_id start() const { return start_; }
  configuration_id after(configuration_id from, std::uint8_t byte) {
    const auto cell = from * n_classes_ + automaton_->class_of(byte);
    const auto known = table_[cell];
    return known != unknown ? known : find_after(from, byte, cell);
  }
  /// What was read is complete.
  bool can_end(configuration_id id) const { return known_[id].can_end; }
  /// Nothing can follow.
  bool is_over(configuration_id id) const { return known_[id].places->size() == 1; }
  /// The byte that has to follow, if there is only one.
  std::optional<std::uint8_t> only_byte(configuration_id id) const;
  /// So many characters may be read as they are in JSON strings, perhaps more.
  int n_plain(configuration_id id) const { return known_[id].n_plain; }
  /// No more than that.
  bool is_exact(configuration_id id) const { return known_[id].is_exact; }

  /// The same configuration in another object of the same automaton.
  configuration_id copied_to(configurations& other, configuration_id id) const;

  std::size_t memory_bytes() const { return n_bytes_; }
  /// Places looked at so far: it grows with what is found out anew, not with looks into the table.
  std::uint64_t effort() const { return effort_; }

private:
  static constexpr configuration_id unknown = ~configuration_id{0};
  struct hash_places {
    std::size_t operator()(const std::vector<place>& places) const;
  };
  struct configuration {
    const std::vector<place>* places = nullptr; ///< behind the first, which stands for the rest: what reads
    bool can_end = false;
    bool is_exact = false;
    int n_plain = 0;
  };

  configuration_id find_after(configuration_id from, std::uint8_t byte, std::size_t cell);
  /// Of what the closure has found.
  configuration_id concluded();
  /// `traits` has everything but the places.
  configuration_id intern(std::vector<place> reading, configuration traits);
  void add_special(configuration_id itself);
  stack_id intern(stack_node node);

  std::shared_ptr<const automaton> automaton_;
  std::size_t n_classes_;
  closure closure_;
  std::vector<configuration> known_;
  std::vector<const stack_node*> stacks_;
  std::vector<configuration_id> table_; ///< (configurations, byte classes)
  std::unordered_map<std::vector<place>, configuration_id, hash_places> numbers_;
  std::unordered_map<stack_node, stack_id, hash_places> stack_numbers_;
  configuration_id start_ = 0;
  std::size_t n_bytes_ = 0;
  std::uint64_t effort_ = 0;
};

} // namespace souffleur::grammar
