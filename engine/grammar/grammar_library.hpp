// The grammars in use, compiled once for all requests that ask for the same.
#pragma once

#include "engine/grammar/output_grammar.hpp"
#include "engine/grammar/token_grammar.hpp"
#include "engine/result.hpp"
#include "engine/tokenizer.hpp"

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

namespace souffleur::grammar {

/// Thread-safe. What was used longest ago is forgotten first; a grammar that a generation uses lives on with
/// it.
class grammar_library {
public:
  explicit grammar_library(std::shared_ptr<const tokenizer> vocabulary, std::size_t n_most = 64,
                           std::size_t most_bytes = std::size_t{128} << 20)
      : vocabulary_(std::move(vocabulary)), n_most_(n_most), most_bytes_(most_bytes) {}

  /// The error is for who wrote the source.
  result<std::shared_ptr<token_grammar>> find_or_compile(const output_grammar& wanted);

private:
  struct entry {
    output_grammar wanted;
    std::shared_ptr<token_grammar> compiled;
  };
  std::shared_ptr<token_grammar> find(const output_grammar& wanted);
  void keep(entry fresh);

  std::shared_ptr<const tokenizer> vocabulary_;
  std::size_t n_most_;
  std::size_t most_bytes_;
  std::mutex mutex_;
  std::shared_ptr<const vocabulary_trie> trie_; ///< made when the first grammar is asked for
  std::list<entry> known_;                      ///< used last first
};

} // namespace souffleur::grammar
