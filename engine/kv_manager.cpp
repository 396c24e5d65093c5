#include "engine/kv_manager.hpp"

#include "engine/kv/page_pool.hpp"
#include "engine/kv/radix_tree.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace souffleur {

namespace {

/// Until it slides, a sequence has `pages` alone. Then the front of them, its sinks, are copies of its own,
/// and the sinks as they were computed are in `sinks`.
struct sequence {
  std::vector<page_id> pages; ///< of what it keeps, in order
  int n_copies = 0;           ///< the first of `pages`; own
  int n_shared = 0;           ///< the next; the tree's, pinned; the rest are its own
  radix_tree::node* pin = nullptr;
  radix_tree::node* borrowed = nullptr; ///< pin on a page that its next one is copied from
  retention_wish wish;
  std::vector<page_id> sinks;
  int n_shared_sinks = 0;   ///< the first of `sinks`; the tree's, pinned
  int n_dropped = 0;        ///< pages
  int n_dropped_pinned = 0; ///< of them, how many the pin still covers

  int n_pages() const { return static_cast<int>(pages.size()); }
  bool has_slid() const { return n_dropped > 0; }
  std::vector<page_id> owned() const {
    std::vector<page_id> own(pages.begin(), pages.begin() + n_copies);
    own.insert(own.end(), pages.begin() + n_copies + n_shared, pages.end());
    own.insert(own.end(), sinks.begin() + n_shared_sinks, sinks.end());
    return own;
  }
  int n_owned() const { return n_pages() - n_shared + static_cast<int>(sinks.size()) - n_shared_sinks; }
  /// Whether `path`, the pages that the pin covers, is what the sequence believes.
  bool is_pinned_by(std::span<const page_id> path) const {
    const auto covered = n_shared_sinks + n_dropped_pinned + n_shared;
    return static_cast<int>(path.size()) == covered &&
           std::equal(sinks.begin(), sinks.begin() + n_shared_sinks, path.begin()) &&
           std::equal(path.end() - n_shared, path.end(), pages.begin() + n_copies);
  }
};

/// What begin() may find: never the whole prompt, since one token must be computed to have logits.
std::vector<page_key> findable(std::span<const token_id> prompt) {
  return to_page_keys(prompt.first(prompt.empty() ? 0 : prompt.size() - 1));
}

} // namespace

struct kv_manager::core {
  core(int n_pages, std::unique_ptr<eviction_policy> policy, double max_pinned_share,
       std::shared_ptr<prefix_journal> journal)
      : pool(n_pages), eviction(std::move(policy)), retaining(n_pages, max_pinned_share),
        tree(eviction.get(), std::move(journal)) {
    if (eviction) {
      eviction->start(n_pages);
    }
  }

  sequence* find(sequence_id id) {
    const auto found = sequences.find(id);
    return found == sequences.end() ? nullptr : &found->second;
  }

  void give_back(std::span<const page_id> pages) {
    for (const auto page : pages) {
      pool.give_back(page);
    }
  }

  void evict(int n) {
    auto evicted = std::vector<page_id>{};
    tree.evict(n, evicted);
    give_back(evicted);
  }

  /// Takes `n` pages that streams alone have pinned and have dropped.
  bool vacate(int n) {
    auto unread = std::vector<radix_tree::unread_pages>{};
    for (const auto& [id, held] : sequences) {
      if (held.n_dropped_pinned > 0) {
        unread.push_back({held.pin, held.n_shared_sinks, held.n_shared_sinks + held.n_dropped_pinned});
      }
    }
    auto vacated = std::vector<page_id>{};
    const auto done = tree.vacate(n, unread, sequences.size() == 1, vacated);
    give_back(vacated);
    return done;
  }

  /// Appends `n` pages, evicted from the tree if need be. False, and nothing changed, if there are too few.
  bool take(int n, std::vector<page_id>& pages) {
    const auto n_missing = std::max(n - pool.n_free(), 0);
    const auto n_evicted =
        std::min(n_missing, tree.n_cached() - (sequences.size() > 1 ? tree.n_retained() : 0));
    if (n_evicted < n_missing && !vacate(n_missing - n_evicted)) {
      return false;
    }
    evict(n_evicted);
    counters.n_evicted_pages += static_cast<std::uint64_t>(n_missing);
    return pool.take(n, pages);
  }

  /// Makes the first `n` pages sinks, with own pages in their place.
  bool copy_sinks(sequence& held, int n) {
    auto copies = std::vector<page_id>{};
    if (!take(n, copies)) {
      return false;
    }
    held.sinks.assign(held.pages.begin(), held.pages.begin() + n);
    std::ranges::copy(copies, held.pages.begin());
    held.n_copies = n;
    held.n_shared_sinks = std::min(n, held.n_shared);
    held.n_shared -= held.n_shared_sinks;
    return true;
  }

  void retain(const sequence& held) {
    if (held.wish.priority > 0 || held.wish.pinned) {
      tree.retain(held.pin, held.wish, retaining);
    }
  }

  void give_back_borrowed(sequence& held) {
    if (held.borrowed) {
      tree.unpin(std::exchange(held.borrowed, nullptr));
    }
  }

  std::string check_holders() const;

  page_pool pool;
  std::unique_ptr<eviction_policy> eviction;
  retention_policy retaining;
  radix_tree tree;
  std::unordered_map<sequence_id, sequence> sequences;
  kv_counters counters;
};

kv_manager::kv_manager(int n_pages, std::unique_ptr<eviction_policy> eviction, double max_pinned_share,
                       std::shared_ptr<prefix_journal> journal)
    : core_(std::make_unique<core>(n_pages, std::move(eviction), max_pinned_share, std::move(journal))) {}
kv_manager::~kv_manager() = default;

void kv_manager::tell_time(double now_s) { core_->tree.tell_time(now_s); }

int kv_manager::begin(sequence_id id, std::string_view salt, std::span<const token_id> prompt,
                      const retention_wish& wish) {
  if (live(id)) {
    return 0;
  }
  auto& begun = core_->sequences[id];
  begun.pin = core_->tree.pin(salt, findable(prompt), begun.pages);
  begun.n_shared = begun.n_pages();
  begun.wish = wish;
  core_->retain(begun);
  const auto n_found = begun.n_shared * page_tokens;
  core_->counters.n_queried_tokens += prompt.size();
  core_->counters.n_hit_tokens += static_cast<std::uint64_t>(n_found);
  return n_found;
}

kv_manager::partial_page kv_manager::borrow(sequence_id id, std::span<const token_id> prompt) {
  auto* held = core_->find(id);
  const auto n_found = held ? static_cast<std::size_t>(held->n_pages()) * page_tokens : 0;
  if (!held || held->borrowed || held->n_pages() != held->n_shared || prompt.size() < n_found + 2) {
    return {};
  }
  const auto next = prompt.subspan(n_found, std::min<std::size_t>(prompt.size() - 1 - n_found, page_tokens));
  auto n_common = 0;
  held->borrowed = core_->tree.pin_partial(held->pin, next, n_common);
  if (!held->borrowed) {
    return {};
  }
  core_->counters.n_hit_tokens += static_cast<std::uint64_t>(n_common);
  return {radix_tree::last_page(held->borrowed), n_common};
}

bool kv_manager::reserve(sequence_id id, int n_tokens) {
  auto* held = core_->find(id);
  if (!held) {
    return false;
  }
  return core_->take(std::max(pages_for(n_tokens) - held->n_pages(), 0), held->pages);
}

bool kv_manager::slide(sequence_id id, int n_sinks, int n_dropped) {
  auto* held = core_->find(id);
  const int n_sink_pages = n_sinks / page_tokens;
  const int n_more = held ? n_dropped / page_tokens - held->n_dropped : 0;
  if (!held || n_more < 0 || n_sink_pages + n_more > held->n_pages()) {
    return false;
  }
  if (n_more > 0 && !held->has_slid() && !core_->copy_sinks(*held, n_sink_pages)) {
    return false;
  }
  core_->give_back_borrowed(*held);
  const auto first = held->pages.begin() + held->n_copies;
  const int n_more_shared = std::min(n_more, held->n_shared);
  core_->give_back(std::span(first + n_more_shared, first + n_more));
  held->pages.erase(first, first + n_more);
  held->n_shared -= n_more_shared;
  held->n_dropped += n_more;
  held->n_dropped_pinned += n_more_shared;
  if (held->n_shared == 0 && held->n_dropped_pinned > 0) {
    held->pin = core_->tree.retreat(held->pin, held->n_shared_sinks);
    held->n_dropped_pinned = 0;
  }
  return true;
}

void kv_manager::truncate(sequence_id id, int n_tokens) {
  auto* held = core_->find(id);
  const auto n_kept = held ? std::max(pages_for(n_tokens), held->n_copies + held->n_shared) : 0;
  if (held && n_kept < held->n_pages()) {
    core_->give_back(std::span(held->pages).subspan(static_cast<std::size_t>(n_kept)));
    held->pages.resize(static_cast<std::size_t>(n_kept));
  }
}

void kv_manager::publish(sequence_id id, std::span<const token_id> tokens, int n_before) {
  auto* held = core_->find(id);
  if (!held || held->has_slid()) {
    return;
  }
  const auto n_shared = static_cast<std::size_t>(held->n_shared);
  const auto n_pages_before = static_cast<std::size_t>(n_before / page_tokens);
  const auto n_full = std::min(n_pages_before + tokens.size() / page_tokens, held->pages.size());
  if (n_full <= n_shared || n_pages_before > n_shared) {
    return;
  }
  const auto keys = to_page_keys(
      tokens.subspan((n_shared - n_pages_before) * page_tokens, (n_full - n_shared) * page_tokens));
  auto surplus = std::vector<page_id>{};
  held->pin =
      core_->tree.advance(held->pin, keys, std::span(held->pages).subspan(n_shared, keys.size()), surplus);
  held->n_shared = static_cast<int>(n_full);
  core_->retain(*held);
  core_->give_back(surplus);
  core_->give_back_borrowed(*held);
}

void kv_manager::end(sequence_id id) {
  if (auto* held = core_->find(id)) {
    core_->give_back(held->owned());
    core_->give_back_borrowed(*held);
    core_->tree.unpin(held->pin);
    core_->sequences.erase(id);
  }
}

std::span<const page_id> kv_manager::sinks(sequence_id id) const {
  const auto* held = core_->find(id);
  return held ? std::span<const page_id>(held->sinks) : std::span<const page_id>();
}

int kv_manager::n_dropped(sequence_id id) const {
  const auto* held = core_->find(id);
  return held ? held->n_dropped * page_tokens : 0;
}

std::span<const page_id> kv_manager::pages(sequence_id id) const {
  const auto* held = core_->find(id);
  return held ? std::span<const page_id>(held->pages) : std::span<const page_id>();
}

int kv_manager::n_pages_hit(sequence_id id, std::uint64_t n_hits) const {
  const auto* held = core_->find(id);
  return held && !held->has_slid() ? core_->tree.n_pages_hit(held->pin, n_hits) : 0;
}

bool kv_manager::live(sequence_id id) const { return core_->sequences.contains(id); }

int kv_manager::peek(std::string_view salt, std::span<const token_id> prompt) const {
  return core_->tree.match(salt, findable(prompt)) * page_tokens;
}

kv_occupancy kv_manager::occupancy() const {
  auto n_owned = 0;
  for (const auto& [id, held] : core_->sequences) {
    n_owned += held.n_owned();
  }
  return {.n_total = core_->pool.n_total(),
          .n_free = core_->pool.n_free(),
          .n_cached = core_->tree.n_cached(),
          .n_pinned = core_->tree.n_pinned(),
          .n_owned = n_owned};
}

kv_counters kv_manager::counters() const { return core_->counters; }

kv_summary kv_manager::summary(int n_prefixes) const {
  kv_summary all;
  core_->tree.describe(n_prefixes, all);
  all.occupancy = occupancy();
  all.counters = counters();
  all.n_sequences = static_cast<int>(core_->sequences.size());
  return all;
}

void kv_manager::clear_cache() { core_->evict(core_->tree.n_cached()); }

/// Every page is free, the tree's, or owned by one sequence; never two of these, never none.
std::string kv_manager::core::check_holders() const {
  auto n_holders = std::vector<int>(static_cast<std::size_t>(pool.n_total()), 0);
  const auto count = [&](std::span<const page_id> pages) {
    return std::ranges::all_of(pages, [&](page_id page) {
      return page >= 0 && page < pool.n_total() && !pool.is_free(page) &&
             ++n_holders[static_cast<std::size_t>(page)] == 1;
    });
  };
  if (!count(tree.all_pages())) {
    return "tree: a page that it does not hold alone";
  }
  for (const auto& [id, held] : sequences) {
    if (!count(held.owned())) {
      return "sequence " + std::to_string(id) + ": a page that it does not own alone";
    }
    if (!held.is_pinned_by(tree.path_pages(held.pin))) {
      return "sequence " + std::to_string(id) + ": its pin does not cover its shared pages";
    }
  }
  return std::ranges::count(n_holders, 0) == pool.n_free() ? "" : "pool: leaked pages";
}

std::string kv_manager::check_integrity() const {
  auto pins = std::vector<const radix_tree::node*>{};
  for (const auto& [id, held] : core_->sequences) {
    pins.push_back(held.pin);
    if (held.borrowed) {
      pins.push_back(held.borrowed);
    }
  }
  if (auto broken = core_->tree.check(pins); !broken.empty()) {
    return broken;
  }
  return core_->pool.consistent() ? core_->check_holders() : "pool: the free list is wrong";
}

} // namespace souffleur
