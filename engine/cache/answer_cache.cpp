#include "engine/cache/answer_cache.hpp"

#include <algorithm>
#include <cmath>

namespace souffleur {

namespace {

/// Nodes and buckets of the two hash tables and two trees that an entry stands in, and its record.
constexpr std::size_t table_bytes = 400 + sizeof(entry_record);

bool has_length_1(std::span<const float> vector) {
  double squares = 0;
  for (const double x : vector)
    squares += x * x;
  return std::abs(squares - 1) < 1e-3; // of NaN: false
}

bool says_the_same(const cache_entry& a, const cache_entry& b) {
  return a.partition == b.partition && a.owner == b.owner && a.question == b.question &&
         a.embedding == b.embedding && a.embedder == b.embedder && *a.answer == *b.answer;
}

} // namespace

answer_cache::answer_cache(answer_cache_options options, std::unique_ptr<answer_eviction> eviction)
    : options_(std::move(options)), eviction_(std::move(eviction)),
      index_(options_.n_dimensions, options_.index) {}

std::size_t answer_cache::entry_bytes(const cache_entry& entry) {
  return sizeof(entry) + entry.question.size() + entry.embedder.size() +
         entry.embedding.size() * sizeof(float) + entry.answer->size_bytes() + table_bytes +
         wording_index::bytes_for(entry.question.size());
}

bool answer_cache::is_comparable(std::span<const float> vector) const {
  return vector.size() == options_.n_dimensions && has_length_1(vector);
}

bool answer_cache::is_comparable(const cache_entry& entry) const {
  return entry.embedder == options_.embedder && is_comparable(entry.embedding);
}

std::size_t answer_cache::bytes_to_add(const cache_entry& entry) const {
  return entry_bytes(entry) + (is_comparable(entry) ? index_.bytes_to_add(entry.partition) : 0);
}

answer_cache::slots::iterator answer_cache::lookup(const key_digest& exact) {
  const auto at = by_key_.find(exact);
  return at == by_key_.end() ? slots_.end() : slots_.find(at->second);
}

cache_entry_ptr answer_cache::find(const key_digest& exact, unix_seconds now_s) {
  const auto at = lookup(exact);
  if (at == slots_.end())
    return nullptr;
  if (at->second.entry->expires_s <= now_s) {
    remove(at, counters_.n_expired);
    return nullptr;
  }
  note_use(at);
  return at->second.entry;
}

std::vector<answer_candidate> answer_cache::similar(const key_digest& partition,
                                                    std::span<const float> vector, std::size_t k,
                                                    unix_seconds now_s) {
  if (!is_comparable(vector))
    return {};
  std::vector<answer_candidate> found;
  for (bool is_fresh = false; !is_fresh;) {
    is_fresh = true;
    found.clear();
    for (const auto& one : index_.nearest(partition, vector, k)) {
      const auto at = slots_.find(one.id);
      if (at->second.entry->expires_s <= now_s) {
        remove(at, counters_.n_expired);
        is_fresh = false;
      } else {
        const auto& [entry, use, is_indexed, record] = at->second;
        found.push_back({entry, one.similarity, record ? *record : entry_record{}});
      }
    }
  }
  return found;
}

std::optional<std::vector<worded_candidate>> answer_cache::worded_like(const key_digest& partition,
                                                                       std::string_view question,
                                                                       double share, std::size_t most,
                                                                       unix_seconds now_s) const {
  std::vector<worded_candidate> found;
  const auto wording = wordings_.find(partition);
  if (wording == wordings_.end())
    return found;
  const auto matches = wording->second.covering(question, share, most);
  if (!matches)
    return std::nullopt;
  for (const auto& [id, cover] : *matches)
    if (const auto& entry = slots_.at(id).entry; entry->expires_s > now_s)
      found.push_back({entry, cover});
  return found;
}

void answer_cache::served(const key_digest& exact) {
  if (const auto at = lookup(exact); at != slots_.end())
    note_use(at);
}

void answer_cache::note(const key_digest& exact, double similarity, likeness outcome) {
  const auto at = lookup(exact);
  if (at == slots_.end() || outcome == likeness::unknown)
    return;
  auto& record = at->second.record;
  if (!record)
    record = std::make_unique<entry_record>();
  record->note(similarity, outcome);
}

bool answer_cache::insert(cache_entry_ptr entry, unix_seconds now_s) {
  remove_expired(now_s);
  const bool is_compared = is_comparable(*entry);
  counters_.n_unindexed += !is_compared && !entry->embedding.empty() ? 1 : 0;
  const auto alone_bytes = entry_bytes(*entry) + (is_compared ? index_.bytes_of_one() : 0);
  if (entry->expires_s <= now_s || alone_bytes > options_.max_bytes) {
    ++counters_.n_refused;
    return false;
  }
  ++counters_.n_inserted;
  if (replace_equal(entry))
    return true;
  if (const auto old = lookup(entry->exact); old != slots_.end())
    remove(old, counters_.n_replaced);
  while (n_bytes() + bytes_to_add(*entry) > options_.max_bytes)
    evict_one();

  const auto number = next_number_++;
  auto& [kept, use, is_indexed, record] = slots_[number];
  kept = std::move(entry);
  is_indexed = is_compared && index_.add(kept->partition, number, kept->embedding);
  if (is_indexed)
    wordings_[kept->partition].add(number, kept->question);
  by_key_.emplace(kept->exact, number);
  by_expiry_.emplace(kept->expires_s, number);
  ++clock_;
  use = {.created = clock_,
         .last_used = clock_,
         .n_tokens = static_cast<std::uint64_t>(std::max(kept->answer->n_tokens, 0)),
         .age = age_};
  use.n_bytes = entry_bytes(*kept) + (is_indexed ? index_.bytes_to_add(kept->partition) : 0);
  entries_bytes_ += entry_bytes(*kept);
  by_worth_.emplace(eviction_->key(use), number);
  return true;
}

/// What changed can only be when it was created and when it expires.
bool answer_cache::replace_equal(const cache_entry_ptr& entry) {
  const auto at = lookup(entry->exact);
  if (at == slots_.end() || !says_the_same(*at->second.entry, *entry))
    return false;
  by_expiry_.erase({at->second.entry->expires_s, at->first});
  by_expiry_.emplace(entry->expires_s, at->first);
  at->second.entry = entry;
  return true;
}

bool answer_cache::erase(const key_digest& exact) {
  const auto at = lookup(exact);
  if (at == slots_.end())
    return false;
  remove(at, counters_.n_erased);
  return true;
}

std::size_t answer_cache::forget(const key_digest& owner) {
  std::vector<entry_number> theirs;
  for (const auto& [number, slot] : slots_)
    if (slot.entry->owner == owner)
      theirs.push_back(number);
  for (const auto number : theirs)
    remove(slots_.find(number), counters_.n_forgotten);
  return theirs.size();
}

bool answer_cache::finish_rebuild(const partition_rebuild& rebuilt) {
  const bool is_done = index_.finish_rebuild(rebuilt);
  counters_.n_rebuilds += is_done ? 1 : 0;
  while (n_bytes() > options_.max_bytes)
    evict_one();
  return is_done;
}

void answer_cache::note_use(slots::iterator at) {
  auto& use = at->second.use;
  by_worth_.erase({eviction_->key(use), at->first});
  use.last_used = ++clock_;
  use.age = age_;
  ++use.hits;
  by_worth_.emplace(eviction_->key(use), at->first);
}

void answer_cache::remove(slots::iterator at, std::uint64_t& counter) {
  const auto& [entry, use, is_indexed, record] = at->second;
  if (is_indexed) {
    index_.erase(entry->partition, at->first);
    const auto wording = wordings_.find(entry->partition);
    wording->second.erase(at->first);
    if (wording->second.size() == 0)
      wordings_.erase(wording);
  }
  by_key_.erase(entry->exact);
  by_worth_.erase({eviction_->key(use), at->first});
  by_expiry_.erase({entry->expires_s, at->first});
  entries_bytes_ -= entry_bytes(*entry);
  slots_.erase(at);
  ++counter;
}

void answer_cache::remove_expired(unix_seconds now_s) {
  while (!by_expiry_.empty() && by_expiry_.begin()->first <= now_s)
    remove(slots_.find(by_expiry_.begin()->second), counters_.n_expired);
}

void answer_cache::evict_one() {
  const auto [key, number] = *by_worth_.begin();
  age_ = std::max(age_, key.first);
  remove(slots_.find(number), counters_.n_evicted);
}

answer_cache_counters answer_cache::counters() const {
  auto all = counters_;
  all.n_entries = slots_.size();
  all.n_indexed = index_.n_vectors();
  all.n_partitions = index_.n_partitions();
  all.n_tombstones = index_.n_tombstones();
  all.n_bytes = n_bytes();
  all.n_index_bytes = index_.n_bytes();
  return all;
}

bool answer_cache::check_integrity() const {
  std::size_t n_bytes = 0;
  std::size_t n_indexed = 0;
  for (const auto& [number, slot] : slots_) {
    const auto& entry = *slot.entry;
    const auto key = by_key_.find(entry.exact);
    if (key == by_key_.end() || key->second != number || !by_expiry_.contains({entry.expires_s, number}) ||
        !by_worth_.contains({eviction_->key(slot.use), number}) ||
        index_.contains(entry.partition, number) != slot.is_indexed)
      return false;
    n_bytes += entry_bytes(entry);
    n_indexed += slot.is_indexed ? 1 : 0;
  }
  std::size_t n_worded = 0;
  for (const auto& [partition, wording] : wordings_) {
    if (wording.size() == 0 || !wording.check_integrity())
      return false;
    n_worded += wording.size();
  }
  return n_worded == n_indexed && by_key_.size() == slots_.size() && by_worth_.size() == slots_.size() &&
         by_expiry_.size() == slots_.size() && index_.check_integrity() && index_.n_vectors() == n_indexed &&
         n_bytes == entries_bytes_ && this->n_bytes() <= options_.max_bytes;
}

} // namespace souffleur
