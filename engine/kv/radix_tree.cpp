#include "engine/kv/radix_tree.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <ranges>
#include <tuple>
#include <utility>

namespace souffleur {

struct radix_tree::node {
  std::vector<page_key> keys;
  std::vector<page_id> pages;    ///< as many as keys; none only in a root; -1 in a gap
  std::vector<page_hash> hashes; ///< of the pages
  page_hash hash_before = 0;     ///< of what is above
  std::map<page_key, node*> children;
  node* parent = nullptr;
  const std::string* salt = nullptr; ///< of a root
  cached_node use;
  retention granted;
  page_key last_next{}; ///< what last followed its end, if anything did
  std::uint64_t serial = 0;
  int n_before = 0; ///< pages above it
  int n_pins = 0;
  bool is_gap = false;
  bool ranked = false;
  queue_name queue; ///< in evictable_, if ranked
  rank place;       ///< in the queue

  int n_pages() const { return static_cast<int>(pages.size()); }
  int n_held() const { return is_gap ? 0 : n_pages(); }
  page_hash last_hash() const { return hashes.empty() ? hash_before : hashes.back(); }
};

namespace {

std::size_t n_common(std::span<const page_key> a, std::span<const page_key> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

} // namespace

radix_tree::radix_tree(eviction_policy* policy, std::shared_ptr<prefix_journal> journal)
    : policy_(policy), journal_(std::move(journal)), name_in_journal_(journal_ ? journal_->begin() : 0) {}
radix_tree::~radix_tree() = default;

int radix_tree::match(std::string_view salt, std::span<const page_key> keys) const {
  const auto root = roots_.find(salt);
  auto n_matched = std::size_t{0};
  for (const auto* at = root == roots_.end() ? nullptr : root->second; at && n_matched < keys.size();) {
    const auto child = at->children.find(keys[n_matched]);
    if (child == at->children.end() || child->second->is_gap) {
      break;
    }
    const auto n = n_common(child->second->keys, keys.subspan(n_matched));
    n_matched += n;
    at = n < child->second->keys.size() ? nullptr : child->second;
  }
  return static_cast<int>(n_matched);
}

radix_tree::node* radix_tree::pin(std::string_view salt, std::span<const page_key> keys,
                                  std::vector<page_id>& pages) {
  auto n_matched = std::size_t{0};
  auto* end = descend(root_of(salt), keys, gaps::end_a_match, n_matched);
  ++clock_;
  ++n_lookups_;
  for (auto* at = end; at; at = at->parent) {
    if (policy_ && at->parent) {
      policy_->found(view_of(*at), n_lookups_);
    }
    at->use.gap = n_lookups_ - at->use.last_lookup;
    add_pin(at);
    touch(at);
    ++at->use.hits;
  }
  tell_missed(end, keys.subspan(n_matched));
  std::ranges::copy(path_pages(end), std::back_inserter(pages));
  return end;
}

void radix_tree::tell_missed(const node* end, std::span<const page_key> keys) {
  auto hash = end->last_hash();
  for (const auto& key : keys) {
    hash = hash_after(hash, key);
    if (!policy_ || !policy_->missed(hash, n_lookups_)) {
      return;
    }
  }
}

radix_tree::node* radix_tree::advance(node* from, std::span<const page_key> keys, std::span<page_id> pages,
                                      std::vector<page_id>& surplus) {
  auto n_present = std::size_t{0};
  auto* end = descend(from, keys, gaps::are_passed, n_present);
  auto page = n_present;
  for (auto* at = end; at != from; at = at->parent) {
    page -= at->pages.size();
    if (at->is_gap) {
      fill_gap(at, pages.subspan(page, at->pages.size()));
      continue;
    }
    for (auto i = std::size_t{0}; i < at->pages.size(); ++i) {
      surplus.push_back(std::exchange(pages[page + i], at->pages[i]));
    }
  }
  ++clock_;
  if (n_present < keys.size()) {
    end = append(end, end == from, keys.subspan(n_present), pages.subspan(n_present));
  }
  for (auto* at = end; at != from; at = at->parent) {
    add_pin(at);
  }
  for (auto* at = end; at; at = at->parent) {
    touch(at);
  }
  return end;
}

radix_tree::node* radix_tree::pin_partial(node* end, std::span<const token_id> next, int& n_common) {
  auto key = page_key{};
  key.fill(std::numeric_limits<token_id>::min());
  std::ranges::copy(next, key.begin());
  // Keys are in the order of their tokens, so nothing is closer than the neighbours.
  const auto after = end->children.lower_bound(key);
  auto* closest = static_cast<node*>(nullptr);
  n_common = 0;
  const auto look_at = [&](const auto& child) {
    const auto n = static_cast<int>(std::ranges::mismatch(child.first, next).in2 - next.begin());
    if (n > n_common && !child.second->is_gap) {
      n_common = n;
      closest = child.second;
    }
  };
  if (after != end->children.end()) {
    look_at(*after);
  }
  if (after != end->children.begin()) {
    look_at(*std::prev(after));
  }
  if (!closest) {
    return nullptr;
  }
  if (closest->n_pages() > 1) {
    closest = split(closest, 1);
  }
  pin_path(closest);
  return closest;
}

void radix_tree::unpin(node* pinned) {
  for (auto* at = pinned; at;) {
    auto* parent = at->parent;
    set_pins(at, at->n_pins - 1);
    if (at->n_pins == 0) {
      drop_if_empty(at);
    }
    at = parent;
  }
}

radix_tree::node* radix_tree::retreat(node* from, int n_pages) {
  auto* to = from;
  while (to->parent && to->n_before >= n_pages) {
    to = to->parent;
  }
  if (to->parent && to->n_before + to->n_pages() > n_pages) {
    to = split(to, static_cast<std::size_t>(n_pages - to->n_before));
  }
  pin_path(to);
  unpin(from);
  return to;
}

void radix_tree::evict(int n, std::vector<page_id>& pages) {
  for (; n > 0 && !evictable_.empty(); --n) {
    auto* victim = next_victim();
    age_ = std::max(age_, victim->place.key.first);
    if (policy_) {
      policy_->evicted(view_of(*victim), victim->last_hash(), n_lookups_);
    }
    const auto last_key = victim->keys.back();
    pages.push_back(victim->pages.back());
    victim->last_next = last_key;
    victim->use.forks = std::max<std::uint64_t>(victim->use.forks, 1);
    victim->keys.pop_back();
    victim->pages.pop_back();
    tell_removed({&victim->hashes.back(), 1});
    victim->hashes.pop_back();
    count(*victim, -1);
    n_kept_ -= victim->granted.pinned() ? 1 : 0;
    refresh(victim);
    if (victim->pages.empty()) {
      expiring_.erase({victim->granted.until_s, victim->serial});
      auto* parent = victim->parent;
      parent->children.erase(last_key);
      nodes_.erase(victim->serial);
      refresh(parent);
      drop_if_empty(parent);
    }
  }
}

/// Of the lowest level of retention.
radix_tree::node* radix_tree::next_victim() {
  const auto level = evictable_.begin()->first.first;
  auto* victim = static_cast<node*>(nullptr);
  auto least = 0.0;
  for (auto at = evictable_.begin(); at != evictable_.end() && at->first.first == level; ++at) {
    auto* first = &nodes_.at(at->second.begin()->serial);
    const auto worth = policy_ ? policy_->worth(view_of(*first), n_lookups_) : 0;
    if (!victim || worth < least || (worth == least && first->use.last_used < victim->use.last_used)) {
      victim = first;
      least = worth;
    }
  }
  return victim;
}

bool radix_tree::vacate(int n, std::span<const unread_pages> unread, bool even_retained,
                        std::vector<page_id>& pages) {
  struct part {
    int n_holders = 0; ///< of the node's, how many read nothing of the part
    int first = 0;
    int last = std::numeric_limits<int>::max();
  };
  auto parts = std::unordered_map<node*, part>{};
  for (const auto& [end, first, last] : unread) {
    for (auto* at = end; at && at->n_before + at->n_pages() > first; at = at->parent) {
      if (at->n_before < last && !at->is_gap && (even_retained || !at->granted.pinned())) {
        auto& of_node = parts[at];
        ++of_node.n_holders;
        of_node.first = std::max({of_node.first, first, at->n_before});
        of_node.last = std::min({of_node.last, last, at->n_before + at->n_pages()});
      }
    }
  }
  auto read_by_nobody = std::vector<std::pair<node*, part>>{};
  auto n_found = 0;
  for (const auto& [one, of_node] : parts) {
    if (of_node.n_holders == one->n_pins && of_node.first < of_node.last) {
      read_by_nobody.emplace_back(one, of_node);
      n_found += of_node.last - of_node.first;
    }
  }
  if (n_found < n) {
    return false;
  }
  std::ranges::sort(read_by_nobody, std::greater{},
                    [](const auto& one) { return std::pair(one.second.last, one.first->serial); });
  for (auto [one, of_node] : read_by_nobody) {
    const auto first = std::max(of_node.first, of_node.last - n);
    if (n == 0) {
      break;
    }
    n -= of_node.last - first;
    if (first > one->n_before) {
      split(one, static_cast<std::size_t>(first - one->n_before));
    }
    const auto is_split = of_node.last < one->n_before + one->n_pages();
    leave_gap(is_split ? split(one, static_cast<std::size_t>(of_node.last - first)) : one, pages);
  }
  return true;
}

void radix_tree::leave_gap(node* one, std::vector<page_id>& pages) {
  count(*one, -one->n_held());
  one->is_gap = true;
  tell_removed(one->hashes);
  pages.insert(pages.end(), one->pages.begin(), one->pages.end());
  std::ranges::fill(one->pages, -1);
}

void radix_tree::fill_gap(node* one, std::span<const page_id> pages) {
  std::ranges::copy(pages, one->pages.begin());
  one->is_gap = false;
  count(*one, one->n_held());
  tell_added(one->hashes);
}

void radix_tree::tell_added(std::span<const page_hash> pages) const {
  if (!journal_)
    return;
  for (const auto page : pages)
    journal_->added(name_in_journal_, page);
}

void radix_tree::tell_removed(std::span<const page_hash> pages) const {
  if (!journal_)
    return;
  for (const auto page : pages)
    journal_->removed(name_in_journal_, page);
}

radix_tree::node* radix_tree::make_node(node* parent) {
  auto& made = nodes_[next_serial_];
  made.serial = next_serial_++;
  made.parent = parent;
  made.use.created = clock_;
  made.n_before = parent ? parent->n_before + parent->n_pages() : 0;
  made.hash_before = parent ? parent->last_hash() : 0;
  touch(&made);
  return &made;
}

radix_tree::node* radix_tree::root_of(std::string_view salt) {
  if (const auto found = roots_.find(salt); found != roots_.end()) {
    return found->second;
  }
  auto* root = make_node(nullptr);
  root->salt = &roots_.emplace(salt, root).first->first;
  root->hash_before = root_hash(salt);
  return root;
}

/// The new node takes the first `n_head` pages and a copy of the pins and of the history.
radix_tree::node* radix_tree::split(node* whole, std::size_t n_head) {
  const auto n = static_cast<std::ptrdiff_t>(n_head);
  auto* head = make_node(whole->parent);
  head->keys.assign(whole->keys.begin(), whole->keys.begin() + n);
  head->pages.assign(whole->pages.begin(), whole->pages.begin() + n);
  head->hashes.assign(whole->hashes.begin(), whole->hashes.begin() + n);
  head->use = whole->use;
  head->n_pins = whole->n_pins;
  head->granted = whole->granted;
  head->is_gap = whole->is_gap;
  if (head->granted.level > 0) {
    expiring_.emplace(head->granted.until_s, head->serial);
  }
  whole->keys.erase(whole->keys.begin(), whole->keys.begin() + n);
  whole->pages.erase(whole->pages.begin(), whole->pages.begin() + n);
  whole->hashes.erase(whole->hashes.begin(), whole->hashes.begin() + n);
  whole->hash_before = head->last_hash();
  whole->parent->children.at(head->keys.front()) = head;
  head->children.emplace(whole->keys.front(), whole);
  whole->parent = head;
  head->use.forks = 1;
  head->last_next = whole->keys.front();
  whole->n_before += head->n_pages();
  refresh(whole);
  return head;
}

/// Follows `keys` down from `from`; splits the last node so that the result ends where the match does.
radix_tree::node* radix_tree::descend(node* from, std::span<const page_key> keys, gaps here,
                                      std::size_t& n_matched) {
  n_matched = 0;
  auto* at = from;
  while (n_matched < keys.size()) {
    const auto child = at->children.find(keys[n_matched]);
    if (child == at->children.end() || (child->second->is_gap && here == gaps::end_a_match)) {
      break;
    }
    at = child->second;
    const auto n = n_common(at->keys, keys.subspan(n_matched));
    n_matched += n;
    if (n < at->keys.size()) {
      return split(at, n);
    }
  }
  return at;
}

/// A leaf that one sequence alone has made and nobody has found yet grows `in_place`; its history is that of
/// the addition too, and nobody else's pin grows with it, nor what was granted to it.
radix_tree::node* radix_tree::append(node* end, bool in_place, std::span<const page_key> keys,
                                     std::span<const page_id> pages) {
  auto* to = end;
  if (!in_place || !end->parent || !end->children.empty() || end->n_pins != 1 || end->use.hits != 0 ||
      end->granted.pinned()) {
    to = make_node(end);
    to->use.gap = end->parent ? end->use.gap : 0;
    if (policy_) {
      to->use.gap = policy_->gap_of(hash_after(end->last_hash(), keys.front()), to->use.gap);
    }
    note_continuation(end, keys.front());
    end->children.emplace(keys.front(), to);
    refresh(end);
  }
  for (const auto& key : keys) {
    to->hashes.push_back(hash_after(to->last_hash(), key));
  }
  to->keys.insert(to->keys.end(), keys.begin(), keys.end());
  to->pages.insert(to->pages.end(), pages.begin(), pages.end());
  count(*to, static_cast<int>(pages.size()));
  tell_added(std::span(to->hashes).last(keys.size()));
  return to;
}

/// A tail that was evicted and comes back is no new continuation.
void radix_tree::note_continuation(node* one, const page_key& next) {
  if (one->use.forks == 0 || one->last_next != next) {
    one->last_next = next;
    ++one->use.forks;
  }
}

void radix_tree::touch(node* one) {
  one->use.last_used = clock_;
  one->use.last_lookup = n_lookups_;
  one->use.age = age_;
}

void radix_tree::add_pin(node* one) { set_pins(one, one->n_pins + 1); }

void radix_tree::set_pins(node* one, int n_pins) {
  const auto changes = (one->n_pins == 0) != (n_pins == 0);
  count(*one, -one->n_held());
  one->n_pins = n_pins;
  count(*one, one->n_held());
  if (changes) {
    refresh(one);
  }
}

/// Adds `n_pages` of a node to the counts.
void radix_tree::count(const node& one, int n_pages) {
  (one.n_pins > 0 ? n_pinned_ : n_cached_) += n_pages;
  n_retained_ += one.granted.pinned() && one.n_pins == 0 ? n_pages : 0;
}

void radix_tree::set_retention(node* one, const retention& granted) {
  count(*one, -one->n_held());
  n_kept_ += (granted.pinned() ? one->n_pages() : 0) - (one->granted.pinned() ? one->n_pages() : 0);
  expiring_.erase({one->granted.until_s, one->serial});
  one->granted = granted;
  if (granted.level > 0) {
    expiring_.emplace(granted.until_s, one->serial);
  }
  count(*one, one->n_held());
  refresh(one);
}

/// From the root on: no page is pinned by a wish behind one that is not.
void radix_tree::retain(node* end, retention_wish wish, const retention_policy& rules) {
  auto path = std::vector<node*>{};
  for (auto* at = end; at->parent; at = at->parent) {
    path.push_back(at);
  }
  for (auto* at : path | std::views::reverse) {
    const auto granted = rules.grant(at->granted, wish, at->n_pages(), n_kept_, now_s_);
    if (granted != at->granted) {
      set_retention(at, granted);
    }
    wish.pinned = wish.pinned && granted.pinned();
  }
}

void radix_tree::tell_time(double now_s) {
  now_s_ = now_s;
  while (!expiring_.empty() && expiring_.begin()->first <= now_s) {
    set_retention(&nodes_.at(expiring_.begin()->second), {});
  }
}

/// From the root to the end of `end`.
void radix_tree::pin_path(node* end) {
  for (auto* at = end; at; at = at->parent) {
    add_pin(at);
  }
}

/// Brings the node's place among the evictable leaves up to date.
void radix_tree::refresh(node* one) {
  if (one->ranked) {
    const auto from = evictable_.find(one->queue);
    from->second.erase(one->place);
    if (from->second.empty()) {
      evictable_.erase(from);
    }
  }
  one->ranked = one->parent && one->n_pins == 0 && one->children.empty() && one->n_held() > 0;
  if (one->ranked) {
    one->queue = queue_of(*one);
    one->place = rank_of(*one);
    evictable_[one->queue].insert(one->place);
  }
}

/// Forgets gaps with nothing behind them, and a salt that nobody uses, so that salts do not pile up.
void radix_tree::drop_if_empty(node* one) {
  while (one && one->n_held() == 0 && one->n_pins == 0 && one->children.empty()) {
    auto* parent = one->parent;
    if (parent) {
      n_kept_ -= one->granted.pinned() ? one->n_pages() : 0;
      expiring_.erase({one->granted.until_s, one->serial});
      parent->children.erase(one->keys.front());
      refresh(parent);
    } else {
      roots_.erase(roots_.find(*one->salt));
    }
    nodes_.erase(one->serial);
    one = parent;
  }
}

radix_tree::rank radix_tree::rank_of(const node& one) const {
  return {.key = policy_ ? policy_->key(view_of(one)) : eviction_key{},
          .created = one.use.created,
          .serial = one.serial};
}

radix_tree::queue_name radix_tree::queue_of(const node& one) const {
  return {one.granted.level, policy_ ? policy_->queue(view_of(one)) : 0};
}

cached_node radix_tree::view_of(const node& one) {
  auto use = one.use;
  use.n_pages = one.n_pages();
  use.depth_pages = one.n_before + one.n_pages();
  return use;
}

/// A hit counts on the whole path, so hits never grow on the way down.
int radix_tree::n_pages_hit(const node* end, std::uint64_t n_hits) const {
  const auto* at = end;
  while (at->parent && at->use.hits < n_hits) {
    at = at->parent;
  }
  return at->n_before + at->n_pages();
}

page_id radix_tree::last_page(const node* pinned) { return pinned->pages.back(); }

std::vector<page_id> radix_tree::path_pages(const node* end) const {
  auto n = std::size_t{0};
  for (const auto* at = end; at; at = at->parent) {
    n += at->pages.size();
  }
  auto pages = std::vector<page_id>(n);
  for (const auto* at = end; at; at = at->parent) {
    n -= at->pages.size();
    std::ranges::copy(at->pages, pages.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return pages;
}

void radix_tree::describe(int n_prefixes, kv_summary& summary) const {
  summary.n_namespaces = static_cast<int>(roots_.size());
  summary.n_prefixes = static_cast<int>(nodes_.size() - roots_.size());
  auto& most_hit = summary.most_hit;
  for (const auto& [serial, one] : nodes_) {
    if (!one.parent || one.is_gap) {
      continue;
    }
    const auto n_tokens = (one.n_before + one.n_pages()) * page_tokens;
    summary.n_deepest_tokens = std::max(summary.n_deepest_tokens, n_tokens);
    most_hit.push_back(
        {serial, n_tokens, one.n_pages() * page_tokens, one.use.hits, one.n_pins, one.parent->serial});
  }
  const auto n = std::min(static_cast<std::size_t>(std::max(n_prefixes, 0)), most_hit.size());
  std::partial_sort(most_hit.begin(), most_hit.begin() + static_cast<std::ptrdiff_t>(n), most_hit.end(),
                    [](const auto& a, const auto& b) {
                      return std::tuple(b.n_hits, b.n_tokens, a.serial) <
                             std::tuple(a.n_hits, a.n_tokens, b.serial);
                    });
  most_hit.resize(n);
}

std::vector<page_id> radix_tree::all_pages() const {
  auto pages = std::vector<page_id>{};
  for (const auto& [serial, one] : nodes_) {
    if (!one.is_gap) {
      pages.insert(pages.end(), one.pages.begin(), one.pages.end());
    }
  }
  return pages;
}

std::string radix_tree::check_node(const node& one) const {
  const auto named = [&one](const std::string& what) {
    return "node " + std::to_string(one.serial) + ": " + what;
  };
  if (one.keys.size() != one.pages.size() || one.pages.empty() != !one.parent) {
    return named("wrong number of pages");
  }
  if (one.n_before != (one.parent ? one.parent->n_before + one.parent->n_pages() : 0)) {
    return named("wrong depth");
  }
  if (one.parent) {
    const auto self = one.parent->children.find(one.keys.front());
    if (self == one.parent->children.end() || self->second != &one) {
      return named("not a child of its parent");
    }
  } else if (const auto root = roots_.find(*one.salt); root == roots_.end() || root->second != &one) {
    return named("not the root of its salt");
  } else if (one.children.empty() && one.n_pins == 0) {
    return named("a salt that nobody uses");
  }
  if (one.is_gap && one.children.empty() && one.n_pins == 0) {
    return named("a gap with nothing behind it");
  }
  for (const auto& [key, child] : one.children) {
    if (child->parent != &one || child->keys.empty() || child->keys.front() != key) {
      return named("a child that belongs elsewhere");
    }
  }
  if (one.granted.level > 0 && !expiring_.contains({one.granted.until_s, one.serial})) {
    return named("granted without an end");
  }
  if (one.granted.pinned() && one.parent->parent && !one.parent->granted.pinned()) {
    return named("retained behind a prefix that is not");
  }
  const auto evictable = one.parent && one.children.empty() && one.n_pins == 0 && !one.is_gap;
  if (one.ranked != evictable || (one.ranked && (one.queue != queue_of(one) || one.place != rank_of(one)))) {
    return named("wrong place in the order of eviction");
  }
  if (const auto queue = evictable_.find(one.queue);
      one.ranked && (queue == evictable_.end() || !queue->second.contains(one.place))) {
    return named("not in its queue");
  }
  auto hash = one.hash_before;
  for (auto i = std::size_t{0}; i < one.keys.size(); ++i) {
    hash = hash_after(hash, one.keys[i]);
    if (one.hashes.size() != one.keys.size() || one.hashes[i] != hash) {
      return named("wrong hashes");
    }
  }
  return {};
}

std::string radix_tree::check(std::span<const node* const> pins) const {
  auto n_pins = std::unordered_map<const node*, int>{};
  for (const auto* pinned : pins) {
    for (const auto* at = pinned; at; at = at->parent) {
      ++n_pins[at];
    }
  }
  auto n_cached = 0;
  auto n_pinned = 0;
  auto n_retained = 0;
  auto n_kept = 0;
  auto n_granted = std::size_t{0};
  auto n_ranked = std::size_t{0};
  auto n_children = std::size_t{0};
  for (const auto& [serial, one] : nodes_) {
    if (auto broken = check_node(one); !broken.empty()) {
      return broken;
    }
    const auto expected = n_pins.find(&one);
    if (one.n_pins != (expected == n_pins.end() ? 0 : expected->second)) {
      return "node " + std::to_string(serial) + ": wrong number of pins";
    }
    (one.n_pins > 0 ? n_pinned : n_cached) += one.n_held();
    n_kept += one.granted.pinned() ? one.n_pages() : 0;
    n_retained += one.granted.pinned() && one.n_pins == 0 ? one.n_held() : 0;
    n_granted += one.granted.level > 0;
    n_ranked += one.ranked;
    n_children += one.children.size();
  }
  if (n_cached != n_cached_ || n_pinned != n_pinned_ || n_retained != n_retained_ || n_kept != n_kept_) {
    return "tree: wrong page counts";
  }
  if (n_granted != expiring_.size()) {
    return "tree: granted without an end";
  }
  auto n_queued = std::size_t{0};
  for (const auto& [name, queue] : evictable_) {
    n_queued += queue.size();
  }
  return n_ranked != n_queued || n_children + roots_.size() != nodes_.size() ? "tree: lost nodes" : "";
}

} // namespace souffleur
