#include "engine/grammar/token_grammar.hpp"

#include "engine/grammar/automaton.hpp"
#include "engine/grammar/configurations.hpp"
#include "engine/grammar/vocabulary_trie.hpp"

#include <unordered_map>
#include <vector>

namespace souffleur::grammar {

namespace {

std::size_t hash_of(const token_mask& mask) {
  std::uint64_t hash = 0;
  for (const auto word : mask) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  }
  return static_cast<std::size_t>(hash);
}

/// Of an entry of a hash map, beside its content.
constexpr std::size_t entry_bytes = 64;

} // namespace

struct token_grammar::era {
  explicit era(std::shared_ptr<const automaton> of) : known(std::move(of)) {}

  configurations known;
  std::unordered_map<configuration_id, token_mask_ptr> masks;
  std::unordered_multimap<std::size_t, token_mask_ptr> different; ///< the same, each once, by hash
  std::size_t n_mask_bytes = 0;

  std::size_t memory_bytes() const { return known.memory_bytes() + n_mask_bytes; }
};

token_grammar::token_grammar(automaton of, std::shared_ptr<const vocabulary_trie> vocabulary,
                             const token_grammar_limits& limits)
    : automaton_(std::make_shared<const automaton>(std::move(of))), vocabulary_(std::move(vocabulary)),
      limits_(limits), now_(std::make_shared<era>(automaton_)) {}

token_grammar::position token_grammar::start() {
  const std::lock_guard lock{mutex_};
  return {now_, now_->known.start()};
}

/// Begins a new era if this one knows too much.
token_grammar::position token_grammar::in_this_era(const position& at) {
  if (now_->memory_bytes() > limits_.memory_bytes)
    now_ = std::make_shared<era>(automaton_);
  if (at.in == now_)
    return at;
  return {now_, at.in->known.copied_to(now_->known, at.at)};
}

/// One walk over a trie. The configurations on the way down stand in `path`.
struct token_grammar::mask_search {
  configurations& known;
  std::uint64_t most_effort;
  token_mask mask;
  std::vector<configuration_id> path{};

  /// False: it took too much effort.
  bool walk(const byte_trie& trie, configuration_id from) {
    path.assign(static_cast<std::size_t>(trie.n_most_bytes()) + 1, no_configuration);
    path[0] = from;
    bool too_much = false;
    trie.walk(
        [&](std::size_t depth, std::uint8_t byte) {
          if (too_much)
            return false;
          const auto next = known.after(path[depth], byte);
          path[depth + 1] = next;
          too_much = next == too_many_ways || known.effort() > most_effort;
          return next != no_configuration && !too_much;
        },
        [&](token_id token) { allow(mask, token); });
    return !too_much;
  }
};

token_mask_ptr token_grammar::mask(const position& wanted) {
  const std::lock_guard lock{mutex_};
  const auto at = in_this_era(wanted);
  auto& known = now_->known;
  if (const auto found = now_->masks.find(at.at); found != now_->masks.end())
    return found->second;
  mask_search search{known, known.effort() + limits_.effort_per_mask, token_mask(vocabulary_->n_words())};
  const int n_plain = known.n_plain(at.at);
  const bool is_text = n_plain >= vocabulary_trie::n_most_plain || (known.is_exact(at.at) && n_plain > 0);
  if (is_text)
    search.mask = vocabulary_->plain(n_plain);
  const auto& trie = is_text ? vocabulary_->others() : vocabulary_->all();
  const bool done = at.at != too_many_ways && search.walk(trie, at.at);
  if (done && known.can_end(at.at))
    for (const auto end : vocabulary_->vocabulary().end_tokens())
      allow(search.mask, end);
  const auto made = done ? shared(std::move(search.mask)) : nullptr;
  now_->masks.emplace(at.at, made);
  now_->n_mask_bytes += entry_bytes;
  return made;
}

/// Many configurations have the same mask.
token_mask_ptr token_grammar::shared(token_mask mask) {
  const auto hash = hash_of(mask);
  const auto [first, last] = now_->different.equal_range(hash);
  for (auto i = first; i != last; ++i)
    if (*i->second == mask)
      return i->second;
  now_->n_mask_bytes += mask.size() * sizeof(std::uint64_t) + entry_bytes;
  return now_->different.emplace(hash, std::make_shared<const token_mask>(std::move(mask)))->second;
}

std::optional<token_grammar::position> token_grammar::after(const position& wanted, token_id token) {
  const std::lock_guard lock{mutex_};
  auto at = in_this_era(wanted);
  const auto& vocabulary = vocabulary_->vocabulary();
  const auto bytes = vocabulary.piece(token);
  if (bytes.empty() || vocabulary.is_control(token) || vocabulary.is_end(token))
    return std::nullopt;
  for (const char byte : bytes) {
    at.at = now_->known.after(at.at, static_cast<std::uint8_t>(byte));
    if (at.at <= too_many_ways)
      return std::nullopt;
  }
  return at;
}

bool token_grammar::can_end(const position& at) const {
  const std::lock_guard lock{mutex_};
  return at.in->known.can_end(at.at);
}

bool token_grammar::is_over(const position& at) const {
  const std::lock_guard lock{mutex_};
  return at.in->known.is_over(at.at);
}

std::string token_grammar::forced_bytes(const position& wanted, std::size_t n_most) {
  const std::lock_guard lock{mutex_};
  auto at = in_this_era(wanted).at;
  auto& known = now_->known;
  std::string forced;
  while (forced.size() < n_most && !known.can_end(at)) {
    const auto only = known.only_byte(at);
    if (!only)
      break;
    forced += static_cast<char>(*only);
    at = known.after(at, *only);
  }
  return forced;
}

std::size_t token_grammar::memory_bytes() const {
  const std::lock_guard lock{mutex_};
  return automaton_->memory_bytes() + now_->memory_bytes();
}

} // namespace souffleur::grammar
