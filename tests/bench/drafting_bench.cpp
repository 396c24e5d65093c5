// What drafting from texts costs: microseconds a step of 32 sequences, and bytes a token. The texts are
// files, cut into answers of 400 tokens and shuffled; a million tokens go to the tree of one tenant, and the
// sequences continue others. Where the files have fewer, the rest is made of them: it goes on from any three
// tokens as they do somewhere. Usage: souffleur_drafting_bench MODEL.gguf FILE...
#include "engine/drafting/answer_trees.hpp"
#include "engine/drafting/prompt_lookup.hpp"
#include "engine/drafting/sequence_suffixes.hpp"
#include "engine/drafting/suffix_match.hpp"
#include "engine/drafting/token_recycling.hpp"
#include "engine/tokenizer.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace souffleur {
namespace {

using tokens = std::vector<token_id>;

constexpr std::size_t n_tree_tokens = 1'000'000;
constexpr std::size_t n_answer_tokens = 400;
constexpr std::size_t n_sequences = 32;
constexpr std::size_t n_prompt_tokens = 200; ///< of an answer's; the rest is what the sequence goes on to say
constexpr std::size_t n_steps = 100;         ///< of one batch
constexpr std::size_t n_batches = 20;
constexpr std::size_t n_tree_answers = n_tree_tokens / n_answer_tokens;
constexpr int n_drafted = 8;

double now_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void report(const char* what, std::vector<double> us) {
  std::ranges::sort(us);
  std::printf("%-70s %8.1f %8.1f   (%.1f-%.1f)\n", what, us[us.size() / 2], us[us.size() * 99 / 100],
              us.front(), us.back());
  std::fflush(stdout);
}

/// What a forward pass leaves of the caches: nothing.
void flush_caches() {
  static std::vector<char> memory(96U << 20);
  for (std::size_t i = 0; i < memory.size(); i += 64) {
    ++memory[i];
  }
}

/// Order-3 Markov chain of the tokens of a text, the same one in each run.
class continued_text {
public:
  /// REQUIRES: more than n_context_ tokens.
  explicit continued_text(tokens text) : text_(std::move(text)) {
    for (auto at = n_context_; at < text_.size(); ++at) {
      places_.push_back(at);
    }
    std::ranges::sort(places_, std::ranges::lexicographical_compare, context_of());
  }

  tokens next(std::size_t n) {
    auto place = any_of(places_);
    tokens made;
    while (made.size() < n) {
      made.push_back(text_[place]);
      const auto alike = std::ranges::equal_range(places_, context_of()(place + 1),
                                                  std::ranges::lexicographical_compare, context_of());
      // What ends the text may occur nowhere else.
      place = any_of(alike.empty() ? std::span<const std::size_t>{places_} : alike);
    }
    return made;
  }

private:
  static constexpr std::size_t n_context_ = 3;

  struct last_tokens {
    std::span<const token_id> text;
    std::span<const token_id> operator()(std::size_t place) const {
      return text.subspan(place - n_context_, n_context_);
    }
  };
  last_tokens context_of() const { return {text_}; }
  std::size_t any_of(std::span<const std::size_t> places) { return places[random_() % places.size()]; }

  tokens text_;
  std::vector<std::size_t> places_; ///< in `text_`, in the order of the tokens before them
  std::mt19937 random_{5};
};

std::vector<tokens> answers_of(const tokenizer& words, std::span<char* const> files, std::size_t n_least) {
  std::vector<tokens> answers;
  tokens whole;
  for (const auto* file : files) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    const auto all = words.encode(text.str(), false);
    whole.insert(whole.end(), all.begin(), all.end());
    for (std::size_t i = 0; i + n_answer_tokens <= all.size(); i += n_answer_tokens) {
      answers.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i),
                           all.begin() + static_cast<std::ptrdiff_t>(i + n_answer_tokens));
    }
  }
  std::printf("%zu answers of %zu tokens in the files", answers.size(), n_answer_tokens);
  if (answers.size() < n_least && whole.size() > n_answer_tokens) {
    continued_text more(std::move(whole));
    std::printf(", %zu made of them", n_least - answers.size());
    while (answers.size() < n_least) {
      answers.push_back(more.next(n_answer_tokens));
    }
  }
  std::printf("\n");
  std::ranges::shuffle(answers, std::mt19937{1});
  return answers;
}

/// Sequences in step, with the drafters of each.
class batch {
public:
  explicit batch(std::span<const tokens> texts) : random_(7) {
    for (const auto& text : texts) {
      sequences_.push_back({&text, n_prompt_tokens});
      const auto prompt = std::span{text}.first(n_prompt_tokens);
      sequences_.back().match.append(prompt);
      sequences_.back().suffixes.append(prompt);
      sequences_.back().lookup.append(prompt);
    }
  }

  /// One to three tokens are committed for each sequence.
  void step() {
    for (auto& one : sequences_) {
      const auto n = 1 + random_() % 3;
      one.more = std::span{*one.text}.subspan(one.n_said, n);
      one.n_said = (one.n_said + n) % (n_answer_tokens - 3);
    }
  }
  double us_shared(const suffix_tree& tree, const draft_shape& shape) {
    return us([&](auto& one) {
      one.match.append(one.more);
      return one.match.propose(tree, shape);
    });
  }
  double us_own(const draft_shape& shape) {
    return us([&](auto& one) {
      one.suffixes.append(one.more);
      return one.suffixes.propose(shape);
    });
  }
  double us_lookup(const draft_shape& shape) {
    return us([&](auto& one) {
      one.lookup.append(one.more);
      return one.lookup.propose(shape.n_max);
    });
  }
  double us_recycling(const token_recycling& table, const draft_shape& shape) {
    return us([&](auto& one) { return table.propose(one.more.back(), shape); });
  }
  double n_proposed() const { return static_cast<double>(n_proposed_) / static_cast<double>(n_asked_); }

private:
  struct sequence {
    const tokens* text;
    std::size_t n_said;
    std::span<const token_id> more{};
    suffix_match match{};
    sequence_suffixes suffixes{1U << 16};
    prompt_lookup lookup{};
  };

  template <class What>
  double us(const What& what) {
    const auto start = now_us();
    for (auto& one : sequences_) {
      n_proposed_ += what(one).nodes.size();
    }
    n_asked_ += sequences_.size();
    return now_us() - start;
  }

  std::mt19937 random_;
  std::vector<sequence> sequences_;
  std::size_t n_proposed_ = 0;
  std::size_t n_asked_ = 0;
};

token_recycling table_of(std::span<const tokens> texts, int n_vocabulary) {
  token_recycling table(n_vocabulary);
  std::mt19937 random{3};
  for (const auto& text : texts) {
    for (std::size_t i = 0; i + 8 < text.size(); ++i) { // what comes soon stands for what is likely
      std::vector<likely_token> likely;
      for (auto n = 0; n < 8; ++n) {
        likely.push_back({text[i + 1 + static_cast<std::size_t>(n)], 0.5F / static_cast<float>(1 + n)});
      }
      table.note(text[i], likely);
    }
  }
  return table;
}

int run(const tokenizer& words, std::span<char* const> files) {
  constexpr auto n_least = n_tree_answers + n_batches * n_sequences;
  const auto answers = answers_of(words, files, n_least);
  if (answers.size() < n_least) {
    std::fprintf(stderr, "the files have less than one answer\n");
    return 1;
  }
  const auto texts = std::span{answers};
  std::printf("%-70s %8s %8s   (least-most)\n", "us", "median", "99 %");

  suffix_tree tree;
  std::vector<double> us;
  for (const auto& answer : texts.first(n_tree_answers)) {
    const auto start = now_us();
    tree.append(answer);
    tree.close();
    us.push_back(now_us() - start);
  }
  const auto n = static_cast<double>(tree.n_tokens());
  std::printf("a tree of %.0f tokens: %.1f bytes a token, %.2f nodes\n", n,
              static_cast<double>(tree.bytes()) / n, static_cast<double>(tree.n_nodes()) / n);
  report("add an answer of 400 tokens, while the tree grows", us);
  us.clear();
  for (const auto& answer : texts.first(n_tree_answers)) {
    const auto start = now_us();
    tree.remove_oldest();
    tree.append(answer);
    tree.close();
    us.push_back(now_us() - start);
  }
  report("add one in place of the oldest", us);
  std::printf("after as many again: %.1f bytes a token\n", static_cast<double>(tree.bytes()) / n);

  const auto table = table_of(texts.first(n_tree_answers), words.vocabulary_size());
  const auto others = texts.subspan(n_tree_answers);
  const auto measure = [&](const char* what, bool cold, const auto& one_step) {
    std::vector<double> all;
    auto n_proposed = 0.0;
    for (std::size_t i = 0; i < n_batches; ++i) {
      batch running(others.subspan(i * n_sequences, n_sequences));
      for (std::size_t step = 0; step < n_steps; ++step) {
        running.step();
        if (cold) {
          flush_caches();
        }
        all.push_back(one_step(running));
      }
      n_proposed += running.n_proposed();
    }
    char name[100];
    std::snprintf(name, sizeof(name), "%s%s (%.1f tokens each)", cold ? "caches flushed: " : "", what,
                  n_proposed / n_batches);
    report(name, all);
  };
  const draft_shape chain{n_drafted, 1, 0.1F};
  const draft_shape branching{n_drafted, 3, 0.1F};
  for (const auto cold : {false, true}) {
    measure("shared tree, chain", cold, [&](batch& all) { return all.us_shared(tree, chain); });
    measure("shared tree, tree", cold, [&](batch& all) { return all.us_shared(tree, branching); });
    measure("own tree, chain", cold, [&](batch& all) { return all.us_own(chain); });
    measure("own tree, tree", cold, [&](batch& all) { return all.us_own(branching); });
    measure("prompt lookup", cold, [&](batch& all) { return all.us_lookup(chain); });
    measure("token recycling, tree", cold, [&](batch& all) { return all.us_recycling(table, branching); });
  }
  auto n_changes = std::size_t{0};
  measure("shared tree, chain, after an answer came in", false, [&](batch& all) {
    tree.remove_oldest();
    tree.append(texts[n_changes++ % n_tree_answers]);
    tree.close();
    return all.us_shared(tree, chain);
  });
  return 0;
}

} // namespace
} // namespace souffleur

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: souffleur_drafting_bench MODEL.gguf FILE...\n");
    return 1;
  }
  const auto file = souffleur::gguf_file::open(argv[1]);
  if (!file) {
    std::fprintf(stderr, "%s\n", file.error().c_str());
    return 1;
  }
  const auto words = souffleur::tokenizer::from_gguf(**file);
  if (!words) {
    std::fprintf(stderr, "%s\n", words.error().c_str());
    return 1;
  }
  return souffleur::run(**words, {argv + 2, static_cast<std::size_t>(argc - 2)});
}
