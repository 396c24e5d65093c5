#include "engine/grammar/grammar_library.hpp"

#include "engine/grammar/automaton.hpp"
#include "engine/grammar/expression.hpp"
#include "engine/grammar/vocabulary_trie.hpp"

#include <algorithm>

namespace souffleur::grammar {

result<std::shared_ptr<token_grammar>> grammar_library::find_or_compile(const output_grammar& wanted) {
  const std::lock_guard lock{mutex_};
  if (auto known = find(wanted))
    return known;
  const auto rules = rules_of(wanted);
  if (!rules)
    return failure{rules.error()};
  auto compiled = automaton::compile(*rules);
  if (!compiled)
    return failure{"cannot be used: " + compiled.error()};
  if (!trie_)
    trie_ = std::make_shared<const vocabulary_trie>(vocabulary_);
  auto made = std::make_shared<token_grammar>(std::move(*compiled), trie_);
  keep({wanted, made});
  return made;
}

std::shared_ptr<token_grammar> grammar_library::find(const output_grammar& wanted) {
  const auto found = std::ranges::find(known_, wanted, &entry::wanted);
  if (found == known_.end())
    return nullptr;
  known_.splice(known_.begin(), known_, found);
  return found->compiled;
}

void grammar_library::keep(entry fresh) {
  known_.push_front(std::move(fresh));
  std::size_t n_bytes = 0;
  std::size_t n_kept = 0;
  for (const auto& one : known_) {
    n_bytes += one.compiled->memory_bytes() + one.wanted.source.size();
    if (n_kept > 0 && (n_kept >= n_most_ || n_bytes > most_bytes_))
      break;
    ++n_kept;
  }
  known_.resize(n_kept);
}

} // namespace souffleur::grammar
