// C2, C3 and C13 of the cache's laws, each in any order of whatever may happen, beside a model.
#include "engine/cache/answer_cache.hpp"
#include "engine/cache/hnsw_index.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace souffleur {
namespace {

constexpr std::size_t n_dimensions = 3;
constexpr int n_keys = 16;
const std::string our_embedder = "ours";

key_digest digest_of(int kind, int number) {
  key_digest made;
  made.bytes = {static_cast<std::uint8_t>(kind), static_cast<std::uint8_t>(number)};
  return made;
}
key_digest exact_of(int number) { return digest_of(1, number); }
key_digest partition_of(int number) { return digest_of(2, number); }
key_digest owner_of(int number) { return digest_of(3, number); }

std::vector<float> any_direction() {
  const auto angle = *rc::gen::inRange(0, 100) / 100.0F;
  return {std::cos(angle), std::sin(angle), 0};
}

std::vector<float> any_embedding() {
  switch (*rc::gen::inRange(0, 10)) {
  case 0:
    return {};
  case 1:
    return {1, 0}; // other dimensions
  case 2:
    return {1, 1, 0}; // too long
  case 3:
    return {NAN, 0, 1};
  default:
    return any_direction();
  }
}

cache_entry any_entry(unix_seconds now_s) {
  cached_answer answer;
  answer.pieces.resize(*rc::gen::inRange<std::size_t>(0, 20));
  answer.n_tokens = *rc::gen::inRange(-1, 20);
  answer.tail = std::string(*rc::gen::inRange<std::size_t>(0, 3), '.');
  cache_entry entry;
  entry.exact = exact_of(*rc::gen::inRange(0, n_keys));
  const auto tenant = *rc::gen::inRange(0, 3);
  entry.owner = owner_of(tenant);
  entry.partition = partition_of(10 * tenant + *rc::gen::inRange(0, 2));
  entry.question = std::string(*rc::gen::inRange<std::size_t>(1, 4), '?');
  entry.embedding = any_embedding();
  entry.embedder = *rc::gen::inRange(0, 10) == 0 ? "another" : our_embedder;
  entry.created_s = now_s;
  entry.expires_s = now_s + *rc::gen::inRange(-1, 200);
  entry.answer = std::make_shared<const cached_answer>(std::move(answer));
  return entry;
}

bool is_comparable(const cache_entry& entry) {
  double squares = 0;
  for (const double x : entry.embedding)
    squares += x * x;
  return entry.embedder == our_embedder && entry.embedding.size() == n_dimensions &&
         std::abs(squares - 1) < 1e-3;
}

double cosine(std::span<const float> x, std::span<const float> y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += static_cast<double>(x[i]) * y[i];
  return sum;
}

bool say_the_same(const cache_entry& a, const cache_entry& b) {
  return a.owner == b.owner && a.partition == b.partition && a.question == b.question &&
         a.embedding == b.embedding && a.embedder == b.embedder && *a.answer == *b.answer;
}

/// Or none; expiry apart.
cache_entry with_one_other_field(const cache_entry& entry, const cache_entry& other) {
  auto made = entry;
  made.expires_s = other.expires_s;
  switch (*rc::gen::inRange(0, 7)) {
  case 0:
    made.answer = other.answer;
    break;
  case 1:
    made.partition = other.partition;
    break;
  case 2:
    made.owner = other.owner;
    break;
  case 3:
    made.question = other.question;
    break;
  case 4:
    made.embedding = other.embedding;
    break;
  case 5:
    made.embedder = other.embedder;
    break;
  default:
    break;
  }
  return made;
}

/// What the cache should hold, and in which order it should give it up.
struct known_entry {
  cache_entry_ptr entry;
  answer_use use;
  std::vector<graded> record;
};

bool are_the_same(std::span<const graded> a, std::span<const graded> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

class story {
public:
  /// Graphs may miss something.
  story(const char* eviction, std::size_t max_bytes, std::size_t n_flat_most)
      : max_bytes_(max_bytes), is_exact_(n_flat_most > n_keys), eviction_(make_answer_eviction(eviction)),
        cache_({.max_bytes = max_bytes,
                .n_dimensions = n_dimensions,
                .embedder = our_embedder,
                .index = {.n_flat_most = n_flat_most}},
               make_answer_eviction(eviction)) {}

  void step() {
    switch (*rc::gen::inRange(0, 12)) {
    case 0:
      return find(any_key());
    case 1:
      return ask(partition_of(10 * *rc::gen::inRange(0, 3) + *rc::gen::inRange(0, 2)));
    case 2:
      return serve();
    case 3:
      return note();
    case 4:
      return erase();
    case 5:
      return forget();
    case 6:
      return wait();
    case 7:
      return rebuild();
    default:
      return insert();
    }
  }

  void check() const {
    RC_ASSERT(cache_.check_integrity());
    RC_ASSERT(cache_.n_bytes() <= max_bytes_);
    RC_ASSERT(cache_.size() == known_.size());
    for (const auto& [exact, _] : known_)
      RC_ASSERT(cache_.contains(exact));
    const auto all = cache_.counters();
    RC_ASSERT(all.n_entries == known_.size());
    RC_ASSERT(all.n_inserted == all.n_entries + all.n_replaced + all.n_evicted + all.n_expired +
                                    all.n_erased + all.n_forgotten + n_renewed_);
    std::set<key_digest> partitions;
    std::size_t n_comparable = 0;
    for (const auto& [_, one] : known_)
      if (is_comparable(*one.entry)) {
        partitions.insert(one.entry->partition);
        ++n_comparable;
      }
    RC_ASSERT(all.n_indexed == n_comparable);
    RC_ASSERT(all.n_partitions == partitions.size());
    RC_ASSERT(all.n_unindexed == n_unindexed_);
  }

private:
  key_digest any_key() const { return exact_of(*rc::gen::inRange(0, n_keys)); }
  bool is_fresh(const cache_entry& entry) const { return entry.expires_s > now_s_; }
  void use(known_entry& one) {
    one.use.last_used = ++clock_;
    one.use.age = age_;
    ++one.use.hits;
  }

  /// Some seconds, or until something expires, or until shortly before.
  void wait() {
    now_s_ += *rc::gen::inRange(0, 8);
    if (known_.empty() || *rc::gen::inRange(0, 3) != 0)
      return;
    const auto at = std::next(known_.begin(), *rc::gen::inRange<long>(0, std::ssize(known_)));
    const auto entry = at->second.entry;
    now_s_ = std::max(now_s_, entry->expires_s - *rc::gen::inRange(0, 2));
    if (*rc::gen::arbitrary<bool>())
      find(entry->exact);
    else
      ask(entry->partition);
  }

  // C2: what was put in is what comes out, until it expires.
  void find(key_digest exact) {
    const auto found = cache_.find(exact, now_s_);
    const auto at = known_.find(exact);
    if (at == known_.end() || !is_fresh(*at->second.entry)) {
      RC_ASSERT(found == nullptr);
      known_.erase(exact);
      return;
    }
    RC_ASSERT(found == at->second.entry);
    use(at->second);
  }

  // C3: of the partition, not expired, none missing that is nearer. By value: who expires may have held it.
  void ask(key_digest partition) {
    const auto direction = any_direction();
    const auto k = *rc::gen::inRange<std::size_t>(0, 8);
    std::vector<double> nearest;
    for (const auto& [_, one] : known_)
      if (is_comparable(*one.entry) && one.entry->partition == partition && is_fresh(*one.entry))
        nearest.push_back(cosine(one.entry->embedding, direction));
    std::sort(nearest.rbegin(), nearest.rend());
    const auto found = cache_.similar(partition, direction, k, now_s_);
    std::erase_if(known_, [&](const auto& one) {
      RC_ASSERT((cache_.contains(one.first) || !is_fresh(*one.second.entry)));
      return !cache_.contains(one.first);
    });
    RC_ASSERT(found.size() <= std::min(k, nearest.size()));
    RC_ASSERT((!is_exact_ || found.size() == std::min(k, nearest.size())));
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto& [entry, similarity, record] = found[i];
      RC_ASSERT(entry->partition == partition);
      RC_ASSERT(is_fresh(*entry));
      RC_ASSERT((!is_exact_ || std::abs(similarity - nearest[i]) < 1e-5));
      RC_ASSERT(std::abs(similarity - cosine(entry->embedding, direction)) < 1e-5);
      RC_ASSERT(known_.at(entry->exact).entry == entry);
      RC_ASSERT(are_the_same(record.seen(), known_.at(entry->exact).record));
    }
    RC_ASSERT(cache_.similar(partition, {direction.data(), 2}, k, now_s_).empty());
    RC_ASSERT(cache_.similar(partition, std::vector<float>{NAN, 0, 0}, k, now_s_).empty());
  }

  void serve() {
    const auto exact = any_key();
    cache_.served(exact);
    if (const auto at = known_.find(exact); at != known_.end())
      use(at->second);
  }

  void note() {
    const auto exact = any_key();
    const auto outcome = *rc::gen::element(likeness::same, likeness::different, likeness::unknown);
    cache_.note(exact, 0.5, outcome);
    const auto at = known_.find(exact);
    if (at == known_.end())
      return;
    auto& record = at->second.record;
    if (outcome != likeness::unknown && record.size() < entry_record::most)
      record.push_back({0.5, outcome == likeness::same});
    ask(at->second.entry->partition);
  }

  void erase() {
    const auto exact = any_key();
    RC_ASSERT(cache_.erase(exact) == (known_.erase(exact) == 1));
  }

  void forget() {
    if (*rc::gen::inRange(0, 3) != 0)
      return;
    const auto owner = owner_of(*rc::gen::inRange(0, 3));
    const auto n = std::erase_if(known_, [&](const auto& one) { return one.second.entry->owner == owner; });
    RC_ASSERT(cache_.forget(owner) == n);
  }

  void rebuild() {
    if (const auto begun = cache_.begin_rebuild()) {
      begun->job->run();
      rebuilds_.push_back(*begun);
    }
    if (rebuilds_.empty() || *rc::gen::arbitrary<bool>())
      return;
    const auto before = cache_.counters().n_evicted;
    cache_.finish_rebuild(rebuilds_.back());
    rebuilds_.pop_back();
    take_note_of_victims(cache_.counters().n_evicted - before);
  }

  void insert() {
    auto entry = std::make_shared<cache_entry>(any_entry(now_s_));
    const auto old = known_.find(entry->exact);
    if (old != known_.end() && *rc::gen::arbitrary<bool>())
      *entry = with_one_other_field(*old->second.entry, *entry);
    const bool is_same_again = old != known_.end() && is_fresh(*old->second.entry) && is_fresh(*entry) &&
                               say_the_same(*old->second.entry, *entry);
    std::erase_if(known_, [&](const auto& one) { return !is_fresh(*one.second.entry); });
    n_unindexed_ += !is_comparable(*entry) && !entry->embedding.empty() ? 1 : 0;
    const auto before = cache_.counters();
    const bool is_kept = cache_.insert(entry, now_s_);
    RC_ASSERT((is_kept || !is_fresh(*entry) || answer_cache::entry_bytes(*entry) + 1000 > max_bytes_));
    RC_ASSERT((!is_kept || is_fresh(*entry)));
    if (!is_kept)
      return;
    if (is_same_again) {
      known_.at(entry->exact).entry = entry;
      ++n_renewed_;
      return;
    }
    known_.erase(entry->exact);
    take_note_of_victims(cache_.counters().n_evicted - before.n_evicted);
    ++clock_;
    known_[entry->exact] = {entry, use_of(*entry), {}};
  }

  answer_use use_of(const cache_entry& entry) const {
    return {.created = clock_,
            .last_used = clock_,
            .n_tokens = static_cast<std::uint64_t>(std::max(entry.answer->n_tokens, 0)),
            .n_bytes = answer_cache::entry_bytes(entry) +
                       (is_comparable(entry) ? n_dimensions * sizeof(float) + sizeof(vector_id) : 0),
            .age = age_};
  }

  // C13: only those that the policy gives up first, and no more than had to go.
  void take_note_of_victims(std::size_t n_victims) {
    std::vector<std::pair<eviction_key, key_digest>> in_order;
    for (const auto& [exact, one] : known_)
      in_order.emplace_back(eviction_->key(one.use), exact);
    std::sort(in_order.begin(), in_order.end());
    RC_ASSERT(n_victims <= in_order.size());
    std::size_t last_bytes = 0;
    for (std::size_t i = 0; i < in_order.size(); ++i) {
      const auto& [key, exact] = in_order[i];
      RC_ASSERT(cache_.contains(exact) == (i >= n_victims));
      if (i < n_victims) {
        age_ = std::max(age_, key.first);
        last_bytes = answer_cache::entry_bytes(*known_.at(exact).entry);
        known_.erase(exact);
      }
    }
    // With it went its vector and perhaps its whole partition.
    const auto index_bytes =
        hybrid_index{n_dimensions, {}}.bytes_for(1) + hnsw_index::make(n_dimensions, 1)->bytes_for(1);
    RC_ASSERT((n_victims == 0 || cache_.n_bytes() + last_bytes + index_bytes > max_bytes_));
  }

  std::size_t max_bytes_;
  bool is_exact_;
  std::unique_ptr<answer_eviction> eviction_;
  answer_cache cache_;
  std::map<key_digest, known_entry> known_;
  std::vector<partition_rebuild> rebuilds_;
  unix_seconds now_s_ = 1000;
  std::uint64_t clock_ = 0;
  double age_ = 0;
  std::uint64_t n_renewed_ = 0;
  std::uint64_t n_unindexed_ = 0;
};

void tell(story any) {
  const auto n_steps = *rc::gen::inRange(1, 400);
  for (int i = 0; i < n_steps; ++i) {
    any.step();
    any.check();
  }
}

// Planted: found at the second of its expiry; a replaced entry, its key, its expiry or its vector stays; a
// budget that forgets the index or the newcomer, or that is not looked at after a rebuild; the most valuable
// one evicted; hits not counted, age not renewed or not growing; another answer or partition taken for the
// same; vectors of another embedder or length compared; forgetting by partition; records not shown; numbers
// used again; any partition asked; a partition without vectors kept.
RC_GTEST_PROP(AnswerCache, KeepsItsPromisesWhateverHappens, ()) {
  const auto eviction = *rc::gen::element("gdsf", "lru", "lfu");
  tell({eviction, *rc::gen::inRange<std::size_t>(0, 16'000), n_keys + 1});
}

RC_GTEST_PROP(AnswerCache, KeepsItsPromisesWithGraphs, ()) {
  tell({"lru", *rc::gen::inRange<std::size_t>(3'000, 30'000), *rc::gen::inRange<std::size_t>(0, 4)});
}

TEST(AnswerCache, WhatHasExpiredIsNotFoundByItsWords) {
  answer_cache_options options;
  options.n_dimensions = n_dimensions;
  options.embedder = our_embedder;
  answer_cache cache{options, make_answer_eviction("lru")};
  cache_entry entry;
  entry.exact = exact_of(1);
  entry.partition = partition_of(1);
  entry.question = "how do lions hunt";
  entry.embedding = {1, 0, 0};
  entry.embedder = our_embedder;
  entry.expires_s = 100;
  entry.answer = std::make_shared<const cached_answer>();
  cache.insert(std::make_shared<const cache_entry>(entry), 0);
  const auto n_found = [&](int partition, unix_seconds now_s) {
    return cache.worded_like(partition_of(partition), "lions that hunt", 0.5, 5, now_s)->size();
  };
  EXPECT_EQ(n_found(1, 99), 1U);
  EXPECT_EQ(n_found(1, 100), 0U);
  EXPECT_EQ(n_found(2, 99), 0U) << "another partition";
}

} // namespace
} // namespace souffleur
