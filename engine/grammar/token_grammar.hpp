// A grammar joined with a vocabulary: which tokens may come next.
#pragma once

#include "engine/grammar/token_mask.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace souffleur::grammar {

class automaton;
class vocabulary_trie;

struct token_grammar_limits {
  /// Of what is remembered: configurations and masks. Beyond it all is forgotten and found anew.
  std::size_t memory_bytes = std::size_t{24} << 20;
  /// Places that may be looked at for one mask.
  std::uint64_t effort_per_mask = 1'000'000;
};

/// Shared by all requests with the same grammar. Thread-safe.
class token_grammar {
public:
  token_grammar(automaton of, std::shared_ptr<const vocabulary_trie> vocabulary,
                const token_grammar_limits& limits = {});

  /// What was found out about the grammar until it was too much to keep.
  struct era;
  /// A text that has been read. A value.
  struct position {
    std::shared_ptr<era> in;
    std::uint32_t at = 0; ///< a configuration_id
  };

  position start();
  /// The tokens that may follow, and those that end a text exactly where it may end; control tokens never.
  /// Null: more effort than is allowed.
  token_mask_ptr mask(const position& at);
  /// Nothing: the token's bytes do not fit. REQUIRES: no end token.
  std::optional<position> after(const position& at, token_id token);
  bool can_end(const position& at) const;
  /// Nothing but the end can follow.
  bool is_over(const position& at) const;
  /// What has to follow before there is a choice (of an end, too), at most so many bytes.
  std::string forced_bytes(const position& at, std::size_t n_most);

  std::size_t memory_bytes() const;

private:
  struct mask_search;
  position in_this_era(const position& at);
  token_mask_ptr shared(token_mask mask);

  std::shared_ptr<const automaton> automaton_;
  std::shared_ptr<const vocabulary_trie> vocabulary_;
  token_grammar_limits limits_;
  mutable std::mutex mutex_;
  std::shared_ptr<era> now_;
};

/// How far a generation has come in its grammar. A value that is cheap to copy: what is read with one copy
/// changes no other, so drafted tokens need no undoing.
class grammar_cursor {
public:
  explicit grammar_cursor(std::shared_ptr<token_grammar> of)
      : grammar_(std::move(of)), at_(grammar_->start()) {}

  token_mask_ptr mask() const { return grammar_->mask(at_); }
  std::optional<grammar_cursor> after(token_id token) const {
    auto next = grammar_->after(at_, token);
    return next ? std::optional{grammar_cursor{grammar_, std::move(*next)}} : std::nullopt;
  }
  bool can_end() const { return grammar_->can_end(at_); }
  bool is_over() const { return grammar_->is_over(at_); }
  std::string forced_bytes(std::size_t n_most) const { return grammar_->forced_bytes(at_, n_most); }

private:
  grammar_cursor(std::shared_ptr<token_grammar> of, token_grammar::position at)
      : grammar_(std::move(of)), at_(std::move(at)) {}

  std::shared_ptr<token_grammar> grammar_;
  token_grammar::position at_;
};

} // namespace souffleur::grammar
