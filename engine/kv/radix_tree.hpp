// Prefix tree over whole pages of tokens: which committed prefix lies in which KV pages.
#pragma once

#include "engine/kv/kv_summary.hpp"
#include "engine/kv/page_key.hpp"
#include "engine/kv/prefix_journal.hpp"
#include "policies/eviction_policy.hpp"
#include "policies/retention.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// Radix tree after RadixAttention (arXiv 2312.07104), one root a salt.
///
/// A pin holds the whole path from its node to the root, so an unpinned node has only unpinned descendants
/// and every unpinned page can be evicted. A pinned node always ends exactly where its holders' prefixes end
/// or run on: a node is split where a match ends, and the node object keeps the tail, so that pins taken
/// earlier stay where they were.
///
/// A holder may stop reading pages in the middle of what it has pinned. Where all do, vacate() takes the
/// pages and leaves a gap: a node without pages, at which every match ends until somebody publishes that part
/// again. There is no gap in what a holder reads, and none with nothing behind it.
class radix_tree {
public:
  struct node;

  /// Of what the pin `end` covers, the pages [first, last) from the root on, which its holder never reads
  /// again.
  struct unread_pages {
    node* end = nullptr;
    int first = 0;
    int last = 0;
  };

  /// `policy` outlives the tree. Without one, the oldest leaf goes first. `journal` null: nobody is told what
  /// comes and goes.
  explicit radix_tree(eviction_policy* policy, std::shared_ptr<prefix_journal> journal = nullptr);
  ~radix_tree();
  radix_tree(const radix_tree&) = delete;
  radix_tree& operator=(const radix_tree&) = delete;

  /// Pages that pin() would find now.
  int match(std::string_view salt, std::span<const page_key> keys) const;
  /// Finds the longest cached prefix of `keys`, appends its pages to `pages`, counts a hit on it and pins it.
  /// The result stands for the pin until unpin() or advance(); it is the salt's root if nothing was found.
  node* pin(std::string_view salt, std::span<const page_key> keys, std::vector<page_id>& pages);
  /// Moves the pin `from` down to the end of `keys`, which follow the prefix that it covers and lie in
  /// `pages`. Where the tree has some already, the tree's pages replace those in `pages`, which are appended
  /// to `surplus`; the rest become the tree's, and fill its gaps.
  node* advance(node* from, std::span<const page_key> keys, std::span<page_id> pages,
                std::vector<page_id>& surplus);
  /// Where a pinned prefix goes on: the child of `end` whose first page has most of its first tokens in
  /// common with `next` (at most a page). Pins that page and returns the pin, or null if there is
  /// none.
  node* pin_partial(node* end, std::span<const token_id> next, int& n_common);
  void unpin(node* pinned);
  /// Moves the pin `from` up, so that it covers only the first `n_pages` of its prefix.
  node* retreat(node* from, int n_pages);

  /// The last page of what a pin covers.
  static page_id last_page(const node* pinned);

  /// Grants what is wished to the whole prefix that `end` covers, as far as `rules` allow.
  void retain(node* end, retention_wish wish, const retention_policy& rules);
  /// What was granted until `now_s` or earlier is void.
  void tell_time(double now_s);

  /// Evicts up to `n` unpinned pages, each the last one of the leaf that has the lowest level of retention
  /// and that the policy ranks lowest at that moment, and appends them to `pages`.
  void evict(int n, std::vector<page_id>& pages);
  /// Takes `n` pinned pages that nobody reads, of each prefix the last first, and appends them to `pages`.
  /// Each pin is named in `unread` once at most. What is retained stays, unless `even_retained`. False, and
  /// nothing changed, if there are too few.
  bool vacate(int n, std::span<const unread_pages> unread, bool even_retained, std::vector<page_id>& pages);

  /// Fills in what concerns the tree, with at most `n_prefixes` prefixes.
  void describe(int n_prefixes, kv_summary& summary) const;

  int n_cached() const { return n_cached_; }
  int n_pinned() const { return n_pinned_; }
  /// Of n_cached(), how many are to stay as long as anybody else can make room. They are evicted last.
  int n_retained() const { return n_retained_; }

  /// Of the pages from the root to the end of `end`, how many at the front were found `n_hits` times or more.
  int n_pages_hit(const node* end, std::uint64_t n_hits) const;
  /// Pages from the root to the end of `end`; -1 in a gap.
  std::vector<page_id> path_pages(const node* end) const;
  std::vector<page_id> all_pages() const;
  /// Recomputes everything, given the pins that are out. Empty, or what is broken.
  std::string check(std::span<const node* const> pins) const;

private:
  /// Place in a queue; unique.
  struct rank {
    eviction_key key;
    std::uint64_t created = 0;
    std::uint64_t serial = 0;
    // NOLINTNEXTLINE(modernize-use-nullptr): it takes the 0 in the default for a null pointer.
    auto operator<=>(const rank&) const = default;
  };

  /// Level of retention, and queue of the eviction policy.
  using queue_name = std::pair<int, int>;

  node* make_node(node* parent);
  node* root_of(std::string_view salt);
  node* split(node* whole, std::size_t n_head);
  enum class gaps { end_a_match, are_passed };
  node* descend(node* from, std::span<const page_key> keys, gaps here, std::size_t& n_matched);
  void leave_gap(node* one, std::vector<page_id>& pages);
  void fill_gap(node* one, std::span<const page_id> pages);
  node* append(node* end, bool in_place, std::span<const page_key> keys, std::span<const page_id> pages);
  void add_pin(node* one);
  void pin_path(node* end);
  void touch(node* one);
  void tell_added(std::span<const page_hash> pages) const;
  void tell_removed(std::span<const page_hash> pages) const;
  void note_continuation(node* one, const page_key& next);
  void refresh(node* one);
  void drop_if_empty(node* one);
  void set_pins(node* one, int n_pins);
  void set_retention(node* one, const retention& granted);
  void count(const node& one, int n_pages);
  rank rank_of(const node& one) const;
  queue_name queue_of(const node& one) const;
  static cached_node view_of(const node& one);
  node* next_victim();
  void tell_missed(const node* end, std::span<const page_key> keys);
  std::string check_node(const node& one) const;

  eviction_policy* policy_;
  std::shared_ptr<prefix_journal> journal_;
  std::uint64_t name_in_journal_ = 0;
  std::unordered_map<std::uint64_t, node>
      nodes_; ///< by serial; owns them all, so that no depth costs call stack
  std::map<std::string, node*, std::less<>> roots_;
  std::map<queue_name, std::set<rank>> evictable_;      ///< the unpinned leaves; no empty queues
  std::set<std::pair<double, std::uint64_t>> expiring_; ///< end of what was granted, serial of the node
  double now_s_ = 0;
  std::uint64_t clock_ = 0;
  std::uint64_t n_lookups_ = 0;
  double age_ = 0; ///< largest eviction_key::first evicted so far
  std::uint64_t next_serial_ = 0;
  int n_cached_ = 0;
  int n_pinned_ = 0;
  int n_retained_ = 0;
  int n_kept_ = 0; ///< pages that a request has pinned, whether a sequence uses them or not; gaps too
};

} // namespace souffleur
