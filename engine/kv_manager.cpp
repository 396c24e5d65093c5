#include "engine/kv_manager.hpp"

#include "engine/kv/page_pool.hpp"
#include "engine/kv/radix_tree.hpp"

#include <algorithm>
#include <unordered_map>

namespace souffleur {

namespace {

struct sequence {
  std::vector<page_id> pages; ///< the first n_shared are the tree's, pinned; the rest are its own
  int n_shared = 0;
  radix_tree::node* pin = nullptr;

  int n_pages() const { return static_cast<int>(pages.size()); }
  std::span<const page_id> shared() const {
    return std::span(pages).first(static_cast<std::size_t>(n_shared));
  }
  std::span<const page_id> owned() const {
    return std::span(pages).subspan(static_cast<std::size_t>(n_shared));
  }
};

int pages_for(int n_tokens) { return n_tokens <= 0 ? 0 : (n_tokens - 1) / page_tokens + 1; }

/// What begin() may find: never the whole prompt, since one token must be computed to have logits.
std::vector<page_key> findable(std::span<const token_id> prompt) {
  return to_page_keys(prompt.first(prompt.empty() ? 0 : prompt.size() - 1));
}

} // namespace

struct kv_manager::core {
  core(int n_pages, std::unique_ptr<eviction_policy> policy)
      : pool(n_pages), eviction(std::move(policy)), tree(eviction.get()) {}

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

  std::string check_holders() const;

  page_pool pool;
  std::unique_ptr<eviction_policy> eviction;
  radix_tree tree;
  std::unordered_map<sequence_id, sequence> sequences;
  kv_counters counters;
};

kv_manager::kv_manager(int n_pages, std::unique_ptr<eviction_policy> eviction)
    : core_(std::make_unique<core>(n_pages, std::move(eviction))) {}
kv_manager::~kv_manager() = default;

int kv_manager::begin(sequence_id id, std::string_view salt, std::span<const token_id> prompt) {
  if (live(id)) {
    return 0;
  }
  auto& begun = core_->sequences[id];
  begun.pin = core_->tree.pin(salt, findable(prompt), begun.pages);
  begun.n_shared = begun.n_pages();
  const auto n_found = begun.n_shared * page_tokens;
  core_->counters.n_queried_tokens += prompt.size();
  core_->counters.n_hit_tokens += static_cast<std::uint64_t>(n_found);
  return n_found;
}

bool kv_manager::reserve(sequence_id id, int n_tokens) {
  auto* held = core_->find(id);
  if (!held) {
    return false;
  }
  const auto n_more = std::max(pages_for(n_tokens) - held->n_pages(), 0);
  const auto n_missing = std::max(n_more - core_->pool.n_free(), 0);
  if (n_missing > core_->tree.n_cached()) {
    return false;
  }
  core_->evict(n_missing);
  core_->counters.n_evicted_pages += static_cast<std::uint64_t>(n_missing);
  return core_->pool.take(n_more, held->pages);
}

void kv_manager::truncate(sequence_id id, int n_tokens) {
  auto* held = core_->find(id);
  const auto n_kept = held ? std::max(pages_for(n_tokens), held->n_shared) : 0;
  if (held && n_kept < held->n_pages()) {
    core_->give_back(std::span(held->pages).subspan(static_cast<std::size_t>(n_kept)));
    held->pages.resize(static_cast<std::size_t>(n_kept));
  }
}

void kv_manager::publish(sequence_id id, std::span<const token_id> tokens) {
  auto* held = core_->find(id);
  if (!held) {
    return;
  }
  const auto n_shared = static_cast<std::size_t>(held->n_shared);
  const auto n_full = std::min(tokens.size() / page_tokens, held->pages.size());
  if (n_full <= n_shared) {
    return;
  }
  const auto keys = to_page_keys(tokens.first(n_full * page_tokens).subspan(n_shared * page_tokens));
  auto surplus = std::vector<page_id>{};
  held->pin =
      core_->tree.advance(held->pin, keys, std::span(held->pages).subspan(n_shared, keys.size()), surplus);
  held->n_shared = static_cast<int>(n_full);
  core_->give_back(surplus);
}

void kv_manager::end(sequence_id id) {
  if (auto* held = core_->find(id)) {
    core_->give_back(held->owned());
    core_->tree.unpin(held->pin);
    core_->sequences.erase(id);
  }
}

std::span<const page_id> kv_manager::pages(sequence_id id) const {
  const auto* held = core_->find(id);
  return held ? std::span<const page_id>(held->pages) : std::span<const page_id>();
}

bool kv_manager::live(sequence_id id) const { return core_->sequences.contains(id); }

int kv_manager::peek(std::string_view salt, std::span<const token_id> prompt) const {
  return core_->tree.match(salt, findable(prompt)) * page_tokens;
}

kv_occupancy kv_manager::occupancy() const {
  auto n_owned = 0;
  for (const auto& [id, held] : core_->sequences) {
    n_owned += held.n_pages() - held.n_shared;
  }
  return {.n_total = core_->pool.n_total(),
          .n_free = core_->pool.n_free(),
          .n_cached = core_->tree.n_cached(),
          .n_pinned = core_->tree.n_pinned(),
          .n_owned = n_owned};
}

kv_counters kv_manager::counters() const { return core_->counters; }

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
    if (!std::ranges::equal(held.shared(), tree.path_pages(held.pin))) {
      return "sequence " + std::to_string(id) + ": its pin does not cover its shared pages";
    }
  }
  return std::ranges::count(n_holders, 0) == pool.n_free() ? "" : "pool: leaked pages";
}

std::string kv_manager::check_integrity() const {
  auto pins = std::vector<const radix_tree::node*>{};
  for (const auto& [id, held] : core_->sequences) {
    pins.push_back(held.pin);
  }
  if (auto broken = core_->tree.check(pins); !broken.empty()) {
    return broken;
  }
  return core_->pool.consistent() ? core_->check_holders() : "pool: the free list is wrong";
}

} // namespace souffleur
