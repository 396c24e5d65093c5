// Who holds which KV page: running sequences, the shared prefix tree, or nobody.
#pragma once

#include "engine/kv/kv_summary.hpp"
#include "engine/kv/prefix_journal.hpp"
#include "policies/eviction_policy.hpp"
#include "policies/retention.hpp"
#include "policies/token.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

/// Page allocator and radix prefix tree behind one set of verbs. Plain object; one owner calls it.
///
/// Invariants: a page has exactly one owner class; a pinned page is never evicted; the tree holds only pages
/// that are fully covered by committed tokens and were computed with all of them in sight. After a failed
/// call everything is as before it.
class kv_manager {
public:
  /// Wishes can pin at most `max_pinned_share` of the pages. `journal` null: nobody is told what is cached.
  kv_manager(int n_pages, std::unique_ptr<eviction_policy> eviction, double max_pinned_share = 0,
             std::shared_ptr<prefix_journal> journal = nullptr);
  ~kv_manager();

  /// Seconds of any one clock, never less than before: what wishes were granted until then is void.
  void tell_time(double now_s);

  /// Starts a sequence: finds the longest cached prefix of `prompt` (whole pages, at most prompt.size() - 1
  /// tokens) within `salt`'s namespace and pins it. Returns the number of tokens found. What it finds and
  /// publishes stays in the cache as `wish` says. REQUIRES: id is not live.
  int begin(sequence_id id, std::string_view salt, std::span<const token_id> prompt,
            const retention_wish& wish = {});
  /// Right after begin(): finds a cached page that goes on as `prompt` does, if only in part, and keeps it
  /// until the sequence publishes more than it began with, slides or ends. Its first `n_tokens` positions are
  /// what the sequence would compute next; it has to copy the page to one of its own. {-1, 0} if there is
  /// none.
  struct partial_page {
    page_id page = -1;
    int n_tokens = 0;
  };
  partial_page borrow(sequence_id id, std::span<const token_id> prompt);
  /// Makes the sequence's page list cover `n_tokens` positions that it keeps, evicting from the tree if need
  /// be; what wishes have pinned only while no other sequence is live, so that somebody always gets on. False
  /// if even that does not suffice; then nothing changed.
  bool reserve(sequence_id id, int n_tokens);
  /// Drops pages beyond `n_tokens` positions that the sequence owns alone.
  void truncate(sequence_id id, int n_tokens);
  /// Declares that the pages hold verified KV of exactly `tokens`, behind the first `n_before` positions,
  /// whole pages that begin() has found or that are published: full pages become shareable; duplicates of
  /// pages already in the tree are freed and replaced by the tree's.
  void publish(sequence_id id, std::span<const token_id> tokens, int n_before = 0);
  /// A stream that drops what is oldest: after the call it keeps its first `n_sinks` positions, and of the
  /// rest all but the first `n_dropped`; both whole pages, n_sinks always the same, n_dropped never less. The
  /// sinks' pages in pages() are the sequence's own from then on, to be filled from sinks(). Nothing is
  /// published any more. What it dropped of the tree's stays cached, but makes room like what nobody uses, if
  /// nobody else does. False, and nothing changed, if there are no pages for that.
  bool slide(sequence_id id, int n_sinks, int n_dropped);
  /// Ends the sequence: unpins its prefix and frees its own pages.
  void end(sequence_id id);

  /// Page of the p-th position kept is pages(id)[p / page_tokens]. Valid until the next call for this id.
  std::span<const page_id> pages(sequence_id id) const;
  /// The sinks' pages as they were computed; none before the first slide().
  std::span<const page_id> sinks(sequence_id id) const;
  int n_dropped(sequence_id id) const; ///< positions
  /// Pages at the front of pages() that begin() has found `n_hits` times or more, for whomever.
  int n_pages_hit(sequence_id id, std::uint64_t n_hits) const;
  bool live(sequence_id id) const;
  /// Tokens of `prompt` that begin() would find now. Changes nothing.
  int peek(std::string_view salt, std::span<const token_id> prompt) const;

  kv_occupancy occupancy() const;
  kv_counters counters() const;
  /// With at most `n_prefixes` of the prefixes. O(nodes of the tree).
  kv_summary summary(int n_prefixes) const;
  /// Drops every unpinned cached page.
  void clear_cache();
  /// Empty if all invariants hold; else what is broken.
  std::string check_integrity() const;

private:
  struct core;
  std::unique_ptr<core> core_;
};

} // namespace souffleur
