// A model whose "keys and values" are the tokens themselves. Its logits are a hash of the tokens that it
// finds in the pages, so a wrong page, a stale page or a row that was never computed gives other tokens: it
// is the oracle of the actors' tests.
#pragma once

#include "engine/language_model.hpp"
#include "engine/sampler.hpp"
#include "engine/tree_lines.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace souffleur::testing {

inline constexpr int fake_vocabulary = 32;
inline constexpr token_id fake_end = 31;
inline constexpr token_id fake_bos = 30;

inline std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 31;
  x *= 0x9E3779B97F4A7C15ULL;
  x ^= x >> 29;
  x *= 0xBF58476D1CE4E5B9ULL;
  return x ^ (x >> 32);
}

inline std::uint64_t extended(std::uint64_t hash, token_id token) {
  return mixed(hash * 31 + static_cast<std::uint64_t>(token) + 1);
}

/// Logits after a context with this hash and last token. Half of what decides is the last token alone, so
/// texts repeat themselves and prompt lookup finds something.
inline void fake_logits(std::uint64_t hash, token_id last, std::span<float> logits) {
  for (std::size_t v = 0; v < logits.size(); ++v)
    logits[v] = static_cast<float>(mixed(hash ^ (v << 40)) % 1024) / 512.0F;
  logits[static_cast<std::size_t>((last * 5 + 3) % 13)] += 3.0F;
  logits[static_cast<std::size_t>(fake_end)] -= 1.0F;
}

/// The token that must follow `output`, computed alone, without pages. `mask` may change the logits first.
inline token_id expected_token(const std::vector<token_id>& prompt, const sampling_params& sampling,
                               const std::vector<token_id>& output,
                               const std::function<void(std::span<float>)>& mask) {
  std::uint64_t hash = 0;
  token_counts counts;
  for (const auto token : prompt) {
    hash = extended(hash, token);
    ++counts.prompt[token];
  }
  for (const auto token : output) {
    hash = extended(hash, token);
    ++counts.output[token];
  }
  std::vector<float> logits(fake_vocabulary);
  fake_logits(hash, output.empty() ? prompt.back() : output.back(), logits);
  mask(logits);
  const bool is_short = static_cast<int>(output.size()) < sampling.min_tokens;
  const auto forbidden = is_short ? std::vector<token_id>{fake_end} : std::vector<token_id>{};
  const auto law =
      next_token_distribution(logits, sampling, sampling.has_penalties() ? &counts : nullptr, forbidden);
  return token_at(law, counter_uniform(sampling.seed, prompt.size() + output.size(), rng_purpose::sample));
}

/// What a request must answer.
inline std::vector<token_id> expected_output(const std::vector<token_id>& prompt,
                                             const sampling_params& sampling) {
  std::vector<token_id> output;
  while (static_cast<int>(output.size()) < sampling.max_tokens) {
    output.push_back(expected_token(prompt, sampling, output, [](std::span<float>) {}));
    if (output.back() == fake_end && !sampling.ignore_eos)
      break;
  }
  return output;
}

/// Of a text that begins with '!': no other tests' prompts do, and it is computed once only.
inline bool begins_with_poison(const sequence_rows& rows) {
  constexpr token_id exclamation_mark = 29;
  const auto at = static_cast<std::size_t>(1 - rows.first_position); // behind BOS
  return rows.first_position <= 1 && at < rows.tokens.size() && rows.tokens[at] == exclamation_mark;
}

class fake_model : public language_model {
public:
  explicit fake_model(int n_pages, int context_length = 4096)
      : context_length_(context_length), n_pages_(n_pages),
        slots_(static_cast<std::size_t>(n_pages) * page_tokens, unwritten) {}

  int vocabulary_size() const override { return fake_vocabulary; }
  int context_length() const override { return context_length_; }
  int n_pages() const override { return n_pages_; }
  const std::string& fingerprint() const override { return fingerprint_; }

  /// Who wants only choices gets nothing else.
  void forward_each(std::span<const sequence_rows> batch, const output_reader& read) override {
    language_model::forward_each(batch, [&](std::size_t, std::span<const row_outputs> outputs) {
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        const auto choices = choices_of(batch[i], outputs[i].logits);
        const auto told = batch[i].wants_choices ? row_outputs{{}, choices} : outputs[i];
        read(i, {&told, 1});
      }
    });
  }

  void forward(std::span<const sequence_rows> batch, std::span<float> logits) override {
    if (busy_.exchange(true))
      complain("two threads are in forward at once");
    ++n_forwards;
    if (before_forward)
      before_forward();
    for (const auto& rows : batch)
      if (is_poison && is_poison(rows)) {
        forward_has_thrown();
        throw std::runtime_error("poisoned");
      }
    std::set<std::pair<page_id, int>> written;
    trees_.clear();
    n_scratch_ = 0;
    for (std::size_t i = 0; i < batch.size(); ++i)
      batch[i].parents.empty() ? write(batch[i], written) : write_tree(i, batch[i], written);
    for (const auto& rows : batch)
      logits = rows.parents.empty() ? read(rows, logits) : read_tree(rows, logits);
    if (!logits.empty())
      complain("logits has more rows than the batch asks for");
    busy_ = false;
  }

  /// What is after the path's end is as if it had never been computed.
  void keep(std::size_t sequence, int row) override {
    const auto found = trees_.find(sequence);
    if (found == trees_.end())
      return complain("a path of no tree is kept");
    auto& tree = found->second;
    n_kept_side_lines += tree.lines.line_of(row) != 0 ? 1 : 0;
    for (auto* place : tree.slots)
      *place = unwritten;
    for (; row >= 0; row = tree.parents[static_cast<std::size_t>(row)])
      *tree.slots[static_cast<std::size_t>(tree.lines.depth(row))] =
          tree.tokens[static_cast<std::size_t>(row)];
  }
  void rest() override { ++n_rests; }

  /// The tokens alone: what they attend to has no positions here.
  void turn(std::span<const page_turn> turns) override {
    for (const auto& one : turns) {
      if (one.from < 0 || one.to < 0 || std::max(one.from, one.to) >= n_pages_ || one.from == one.to)
        return complain("a page that cannot be turned");
      const auto from = slots_.begin() + static_cast<std::ptrdiff_t>(one.from) * page_tokens;
      std::copy(from, from + page_tokens, slots_.begin() + static_cast<std::ptrdiff_t>(one.to) * page_tokens);
    }
  }

  const std::string& page_format() const override { return fingerprint_; }
  std::size_t page_bytes() const override { return page_tokens * sizeof(token_id); }
  /// A page that is saved is whole.
  void save_page(page_id page, std::span<std::byte> bytes) const override {
    const auto from = std::span{slots_}.subspan(static_cast<std::size_t>(page) * page_tokens, page_tokens);
    if (std::ranges::count(from, unwritten) > 0)
      complain("a page is saved that was never computed");
    std::ranges::copy(std::as_bytes(from), bytes.begin());
  }
  void load_page(page_id page, std::span<const std::byte> bytes) override {
    const auto to = std::span{slots_}.subspan(static_cast<std::size_t>(page) * page_tokens, page_tokens);
    std::ranges::copy(bytes, std::as_writable_bytes(to).begin());
    ++n_loaded_pages;
  }

  /// The first breach of forward's contract; empty if there was none.
  std::string complaint() const {
    std::lock_guard lock{mutex_};
    return complaint_;
  }

  /// With such a sequence the step fails.
  std::function<bool(const sequence_rows&)> is_poison;
  /// Called in each forward pass; may throw or wait.
  std::function<void()> before_forward;
  std::atomic<int> n_forwards{0};
  std::atomic<int> n_rests{0};
  std::atomic<int> n_loaded_pages{0};
  std::atomic<int> n_trees{0};
  std::atomic<int> n_kept_side_lines{0};
  std::atomic<int> most_scratch_pages{0}; ///< of a step

  /// Clears what a throwing `before_forward` left behind.
  void forward_has_thrown() { busy_ = false; }

private:
  static constexpr token_id unwritten = -1;

  static std::vector<token_id> choices_of(const sequence_rows& rows, std::span<const float> logits) {
    std::vector<token_id> choices;
    for (std::size_t at = 0; at < logits.size(); at += fake_vocabulary) {
      const auto row = logits.subspan(at, fake_vocabulary);
      choices.push_back(rows.draws.empty() ? argmax(row) : drawn(row, rows.draws[choices.size()]));
    }
    return choices;
  }
  static token_id drawn(std::span<const float> logits, const token_draw& draw) {
    sampling_params sampling;
    sampling.temperature = draw.temperature;
    sampling.top_k = draw.top_k;
    sampling.top_p = draw.top_p;
    sampling.min_p = draw.min_p;
    std::vector<float> scratch{logits.begin(), logits.end()};
    return sample(next_token_distribution(scratch, sampling, nullptr, {}), draw.uniform);
  }

  void complain(const std::string& what) const {
    std::lock_guard lock{mutex_};
    if (complaint_.empty())
      complaint_ = what;
  }

  /// Of the `place`th position that the sequence keeps.
  token_id* slot(const sequence_rows& rows, int place) {
    const auto page = static_cast<std::size_t>(place / page_tokens);
    if (page >= rows.pages.size()) {
      complain("position " + std::to_string(place) + " has no page");
      return nullptr;
    }
    if (rows.pages[page] < 0 || rows.pages[page] >= n_pages_) {
      complain("page outside the pool");
      return nullptr;
    }
    return &slots_[static_cast<std::size_t>(rows.pages[page]) * page_tokens +
                   static_cast<std::size_t>(place % page_tokens)];
  }

  void write(const sequence_rows& rows, std::set<std::pair<page_id, int>>& written) {
    if (rows.tokens.empty())
      complain("a sequence without rows");
    if (rows.n_logit_rows > static_cast<int>(rows.tokens.size()))
      complain("more logit rows than rows");
    for (int i = 0; i < static_cast<int>(rows.tokens.size()); ++i) {
      const int place = rows.first_position - rows.n_dropped + i;
      if (place >= context_length_)
        complain("more positions than the context has");
      auto* written_to = slot(rows, place);
      if (!written_to)
        return;
      const auto page = rows.pages[static_cast<std::size_t>(place / page_tokens)];
      if (!written.insert({page, place % page_tokens}).second)
        complain("two rows share a slot");
      *written_to = rows.tokens[static_cast<std::size_t>(i)];
    }
  }

  struct kept_tree {
    tree_lines lines;
    std::vector<int> parents;
    std::vector<token_id> tokens;
    std::vector<token_id*> slots; ///< by depth
  };

  /// The main line's tokens.
  void write_tree(std::size_t index, const sequence_rows& rows, std::set<std::pair<page_id, int>>& written) {
    for (std::size_t i = 0; i < rows.parents.size(); ++i)
      if (rows.parents[i] >= static_cast<int>(i) || rows.parents[i] < (i == 0 ? -1 : 0))
        return complain("rows that are no tree");
    if (rows.parents.size() != rows.tokens.size())
      return complain("a parent for each row, or for none");
    const int first = rows.first_position - rows.n_dropped;
    kept_tree tree{tree_lines{rows.parents, first},
                   {rows.parents.begin(), rows.parents.end()},
                   {rows.tokens.begin(), rows.tokens.end()},
                   {}};
    if ((n_scratch_ += tree.lines.n_scratch_pages()) > n_scratch_pages)
      complain("more scratch pages than there are");
    most_scratch_pages = std::max<int>(most_scratch_pages, n_scratch_);
    ++n_trees;
    std::vector<token_id> main;
    for (const int row : tree.lines.lines()[0].rows)
      main.push_back(rows.tokens[static_cast<std::size_t>(row)]);
    auto main_rows = rows;
    main_rows.tokens = main;
    main_rows.n_logit_rows = 0;
    write(main_rows, written);
    int n_places = 0;
    for (int row = 0; row < static_cast<int>(rows.tokens.size()); ++row)
      n_places = std::max(n_places, tree.lines.depth(row) + 1);
    for (int depth = 0; depth < n_places; ++depth)
      if (auto* place = slot(rows, first + depth))
        tree.slots.push_back(place);
      else
        return;
    trees_.emplace(index, std::move(tree));
  }

  /// Rows see what is before the tree in the pages, and their ancestors.
  std::span<float> read_tree(const sequence_rows& rows, std::span<float> logits) {
    std::uint64_t before = 0;
    for (int at = 0; at < rows.first_position - rows.n_dropped; ++at) {
      const auto* place = slot(rows, at);
      if (!place || *place == unwritten) {
        complain("place " + std::to_string(at) + " is read but was never computed");
        return logits;
      }
      before = extended(before, *place);
    }
    std::vector<std::uint64_t> hashes;
    for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
      const int parent = rows.parents[i];
      hashes.push_back(
          extended(parent < 0 ? before : hashes[static_cast<std::size_t>(parent)], rows.tokens[i]));
      if (static_cast<int>(i) < static_cast<int>(rows.tokens.size()) - rows.n_logit_rows)
        continue;
      if (logits.size() < fake_vocabulary) {
        complain("logits is too small");
        return logits;
      }
      fake_logits(hashes.back(), rows.tokens[i], logits.first(fake_vocabulary));
      logits = logits.subspan(fake_vocabulary);
    }
    return logits;
  }

  std::span<float> read(const sequence_rows& rows, std::span<float> logits) {
    const int n_rows = static_cast<int>(rows.tokens.size());
    std::uint64_t hash = 0;
    const int n_places = rows.first_position - rows.n_dropped + n_rows;
    for (int at = 0; at < n_places; ++at) {
      const auto* place = slot(rows, at);
      if (!place)
        return logits;
      if (*place == unwritten)
        complain("row " + std::to_string(at) + " is read but was never computed");
      hash = extended(hash, *place);
      if (at >= n_places - rows.n_logit_rows) {
        if (logits.size() < fake_vocabulary) {
          complain("logits is too small");
          return logits;
        }
        fake_logits(hash, *place, logits.first(fake_vocabulary));
        logits = logits.subspan(fake_vocabulary);
      }
    }
    return logits;
  }

  std::string fingerprint_ = "fake";
  int context_length_;
  int n_pages_;
  std::vector<token_id> slots_;
  std::map<std::size_t, kept_tree> trees_; ///< of the last call, by index in its batch
  int n_scratch_ = 0;
  std::atomic<bool> busy_{false};
  mutable std::mutex mutex_;
  mutable std::string complaint_;
};

} // namespace souffleur::testing
