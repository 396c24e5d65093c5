// What suffix_tree answers, found by looking through all suffixes.
#pragma once

#include "engine/drafting/match_trust.hpp"
#include "engine/drafting/suffix_tree.hpp"
#include "policies/draft_tree.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <vector>

namespace souffleur::testing {

using tokens = std::vector<token_id>;

/// Of a whole range in the first cases and in short texts, too: RapidCheck cuts it down to the size that it
/// gives a case, and a container its elements.
template <class T>
rc::Gen<T> gen_in(T least, T end) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(least, end));
}

template <class T>
T any_in(T least, T end) {
  return *gen_in(least, end);
}

inline tokens any_text(token_id n_vocabulary, int n_most = 30) {
  return *rc::gen::resize(n_most, rc::gen::container<tokens>(gen_in<token_id>(0, n_vocabulary)));
}

/// Made of pieces of the others, and of tokens of its own.
inline tokens any_text_like(const std::vector<tokens>& others, token_id n_vocabulary) {
  tokens text;
  for (auto n = any_in(1, 5); n > 0; --n) {
    auto piece = any_text(n_vocabulary, 12);
    if (!others.empty() && any_in(0, 3) > 0) {
      const auto& other = *rc::gen::elementOf(others);
      const auto begin = any_in<std::size_t>(0, other.size() + 1);
      const auto end = any_in<std::size_t>(begin, other.size() + 1);
      piece.assign(other.begin() + static_cast<std::ptrdiff_t>(begin),
                   other.begin() + static_cast<std::ptrdiff_t>(end));
    }
    text.insert(text.end(), piece.begin(), piece.end());
  }
  return text;
}

/// A few strings that texts are made of, so that they part and meet again.
inline std::vector<tokens> any_phrases(token_id n_vocabulary) {
  std::vector<tokens> phrases(any_in<std::size_t>(2, 5));
  for (auto& phrase : phrases) {
    phrase = *rc::gen::container<tokens>(any_in<std::size_t>(1, 12), gen_in<token_id>(0, n_vocabulary));
  }
  return phrases;
}

inline tokens any_text_of(const std::vector<tokens>& phrases) {
  tokens text;
  for (auto n = any_in(1, 6); n > 0; --n) {
    const auto& phrase = *rc::gen::elementOf(phrases);
    text.insert(text.end(), phrase.begin(), phrase.end());
  }
  return text;
}

inline bool begins_with(std::span<const token_id> text, std::span<const token_id> string) {
  return text.size() >= string.size() && std::ranges::equal(text.first(string.size()), string);
}

inline tokens last_of(const tokens& text, std::size_t n) {
  return {text.end() - static_cast<std::ptrdiff_t>(n), text.end()};
}

class naive_suffixes {
public:
  explicit naive_suffixes(int depth) : depth_(static_cast<std::size_t>(depth)) {}

  void append(const tokens& more) { open_.insert(open_.end(), more.begin(), more.end()); }
  void close() {
    if (!open_.empty()) {
      open_.push_back(-1);
      closed_.push_back(std::move(open_));
      open_.clear();
    }
  }
  void remove_oldest() { closed_.pop_front(); }
  std::size_t n_texts() const { return closed_.size(); }
  std::size_t n_tokens() const {
    auto n = open_.size();
    for (const auto& text : closed_) {
      n += text.size();
    }
    return n;
  }

  /// Length of the longest suffix of the open text that occurs earlier.
  std::size_t n_repeated() const {
    const auto occurs_earlier = [&](std::size_t n) {
      const auto string = last_of(open_, n);
      for (std::size_t i = 0; i < open_.size() - n; ++i) {
        if (begins_with(std::span{open_}.subspan(i), string)) {
          return true;
        }
      }
      return std::ranges::any_of(closed_, [&](const auto& text) { return occurs_in(text, string); });
    };
    auto n = std::min(depth_ - 1, open_.size());
    while (n > 0 && !occurs_earlier(n)) {
      --n;
    }
    return n;
  }

  /// The longest suffix of `context` that occurs in a closed text.
  tokens longest_match(const tokens& context) const {
    for (auto n = std::min(depth_ - 1, context.size()); n > 0; --n) {
      const auto string = last_of(context, n);
      if (std::ranges::any_of(closed_, [&](const auto& text) { return occurs_in(text, string); })) {
        return string;
      }
    }
    return {};
  }

  std::uint32_t count(const tokens& string) const {
    std::uint32_t n = 0;
    for (const auto& one : suffixes()) {
      n += string.size() <= depth_ && begins_with(one.text, string) ? 1 : 0;
    }
    return n;
  }

  /// A node for each string that more than one token, or the end of a text, follows; and the root.
  std::size_t n_nodes() const {
    std::map<tokens, std::set<token_id>> followers;
    for (const auto& one : suffixes()) {
      for (std::size_t n = 0; n < std::min(depth_, one.text.size()); ++n) {
        followers[{one.text.begin(), one.text.begin() + static_cast<std::ptrdiff_t>(n)}].insert(one.text[n]);
      }
    }
    auto n = std::size_t{1};
    for (const auto& [string, next] : followers) {
      n += !string.empty() && next.size() > 1 ? 1 : 0;
    }
    return n;
  }

  draft_tree propose(const tokens& match, const draft_shape& shape) const {
    draft_tree draft;
    draft.match_length = static_cast<int>(match.size());
    draft.origin = token_origin::suffix;
    if (match.empty()) {
      return draft;
    }
    std::vector<candidate> open = continuations({{0, -1, 1}, match, 1}, -1, shape, draft);
    while (!open.empty() && static_cast<int>(draft.nodes.size()) < shape.n_max) {
      // The most probable, of equals the one found first.
      const auto best = std::ranges::max_element(open, {}, &candidate::path);
      const auto chosen = *best;
      open.erase(best);
      draft.nodes.push_back(chosen.node);
      for (const auto& more : continuations(chosen, static_cast<int>(draft.nodes.size()) - 1, shape, draft)) {
        open.push_back(more);
      }
    }
    return draft;
  }

private:
  struct suffix {
    tokens text; ///< to the end of its text, the mark of that included
    bool open = false;
  };
  struct candidate {
    draft_node node;
    tokens string;
    float path = 1;
  };

  static bool occurs_in(const tokens& text, const tokens& string) {
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
      if (begins_with(std::span{text}.subspan(i), string)) {
        return true;
      }
    }
    return false;
  }

  /// The counted ones, oldest first.
  std::vector<suffix> suffixes() const {
    std::vector<suffix> all;
    for (const auto& text : closed_) {
      for (auto i = text.begin(); i + 1 != text.end(); ++i) {
        all.push_back({{i, text.end()}});
      }
    }
    for (auto i = open_.begin(); i != open_.end() - static_cast<std::ptrdiff_t>(n_repeated()); ++i) {
      all.push_back({{i, open_.end()}, true});
    }
    return all;
  }

  std::vector<candidate> continuations(const candidate& after, int parent, const draft_shape& shape,
                                       const draft_tree& draft) const {
    const auto& string = after.string;
    const auto n_known = std::min(depth_, string.size());
    struct next {
      std::uint32_t count = 0;
      std::size_t newest = 0;
    };
    std::map<token_id, next> found;
    auto total = 0;
    const auto all = suffixes();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto& text = all[i].text;
      const auto runs_into_end = all[i].open && shape.n_branches == 1 && begins_with(string, text);
      if (!begins_with(text, std::span{string}.first(n_known)) && !runs_into_end) {
        continue;
      }
      if (string.size() >= depth_) { // the newest alone
        found.clear();
        total = 0;
      }
      if (text.size() > string.size() || runs_into_end) {
        const auto token =
            runs_into_end ? draft.nodes[string.size() - text.size()].token : text[string.size()];
        ++found[token].count;
        found[token].newest = i;
        ++total;
      }
    }
    std::vector<std::pair<token_id, next>> order(found.begin(), found.end());
    std::ranges::sort(order, [](const auto& a, const auto& b) {
      return std::pair{a.second.count, a.second.newest} > std::pair{b.second.count, b.second.newest};
    });
    order.resize(std::min<std::size_t>(order.size(), 3)); // a node keeps no more in order
    std::vector<candidate> made;
    for (const auto& [token, what] : order) {
      const auto probability = static_cast<float>(what.count) / static_cast<float>(total) *
                               match_trust(static_cast<int>(string.size()));
      const auto path = after.path * probability;
      if (token >= 0 && path >= shape.least_probability && static_cast<int>(made.size()) < shape.n_branches) {
        made.push_back({{token, parent, probability}, string, path});
        made.back().string.push_back(token);
      }
    }
    return made;
  }

  std::size_t depth_;
  std::deque<tokens> closed_;
  tokens open_;
};

/// A whole text for both.
inline void add_text(suffix_tree& tree, naive_suffixes& naive, const tokens& text) {
  tree.append(text);
  tree.close();
  naive.append(text);
  naive.close();
}

} // namespace souffleur::testing
