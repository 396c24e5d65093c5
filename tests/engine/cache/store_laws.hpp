// What every store of answers promises, as a RapidCheck property against a map.
#pragma once

#include "engine/cache/answer_store.hpp"

#include "tests/engine/cache/random_entry.hpp"

#include <rapidcheck.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace souffleur::testing {

inline constexpr std::uint64_t n_law_owners = 3;
inline constexpr std::uint64_t n_law_keys = 9;

inline key_digest law_key(std::uint64_t i) { return digest_numbered(100 + i); }
/// An exact key covers its tenant.
inline key_digest law_owner(std::uint64_t key) { return digest_numbered(key % n_law_owners); }

/// Different for each `number`.
inline cache_entry law_entry(std::uint64_t key, std::uint64_t number, unix_seconds created_s,
                             unix_seconds ttl_s) {
  cache_entry entry;
  entry.exact = law_key(key);
  entry.owner = law_owner(key);
  entry.partition = digest_numbered(1000 + key % (2 * n_law_owners));
  if (key % 2 == 0) {
    entry.question = "question " + std::to_string(number);
    entry.embedding = {0.6F, 0.8F};
    entry.embedder = "test";
  }
  entry.created_s = created_s;
  entry.expires_s = created_s + ttl_s;
  entry.answer = std::make_shared<const cached_answer>(cached_answer{
      {{1, "answer ", "answer "}, {2, std::to_string(number), std::to_string(number)}}, "", ""});
  return entry;
}

struct store_command {
  enum { put, get, erase, forget, wait, reopen, follow, n_kinds } kind = put;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
};

inline std::ostream& operator<<(std::ostream& out, const store_command& c) {
  return out << "{" << c.kind << ", " << c.a << ", " << c.b << "}";
}

inline rc::Gen<store_command> any_store_command() {
  using kinds = decltype(store_command::kind);
  const auto number = rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::uint64_t>(0, 1000));
  const auto kind = rc::gen::weightedElement<kinds>({{8, store_command::put},
                                                     {5, store_command::get},
                                                     {2, store_command::erase},
                                                     {1, store_command::forget},
                                                     {3, store_command::wait},
                                                     {1, store_command::reopen},
                                                     {2, store_command::follow}});
  return rc::gen::build<store_command>(rc::gen::set(&store_command::kind, kind),
                                       rc::gen::set(&store_command::a, number),
                                       rc::gen::set(&store_command::b, number));
}

/// A store, another process that looks at the same one, and the map that both should be like.
class store_history {
public:
  using opener = std::function<std::unique_ptr<answer_store>()>;
  explicit store_history(opener open) : open_(std::move(open)), store_(open_()), other_(open_()) {
    RC_ASSERT(store_ != nullptr);
    RC_ASSERT(other_ != nullptr);
  }

  void run(const store_command& c) {
    const auto key = c.a % n_law_keys;
    switch (c.kind) {
    case store_command::put:
      put(key, static_cast<unix_seconds>(1 + c.b % 20));
      break;
    case store_command::get:
      get(*store_, key);
      get(*other_, key);
      break;
    case store_command::erase:
      RC_ASSERT(store_->erase(law_key(key)).ok());
      expected_.erase(key);
      break;
    case store_command::forget:
      forget(c.a % n_law_owners);
      break;
    case store_command::wait:
      now_s_ += static_cast<unix_seconds>(c.a % 8);
      break;
    case store_command::reopen:
      store_ = nullptr;
      store_ = open_();
      RC_ASSERT(store_ != nullptr);
      break;
    default:
      follow(1 + c.a % 4);
    }
  }

  void finish() {
    follow(2);
    store_ = nullptr;
    store_ = open_();
    for (std::uint64_t key = 0; key < n_law_keys; ++key) {
      get(*store_, key);
      get(*other_, key);
    }
    followed_.clear();
    position_.clear();
    follow(3);
    for (const auto* store : {store_.get(), other_.get()}) {
      RC_ASSERT(store->counters().n_failures == 0U);
      RC_ASSERT(store->counters().n_damaged == 0U);
    }
  }

private:
  bool is_there(std::uint64_t key) const {
    const auto found = expected_.find(key);
    return found != expected_.end() && found->second.expires_s > now_s_;
  }

  void put(std::uint64_t key, unix_seconds ttl_s) {
    const auto entry = law_entry(key, ++n_puts_, now_s_, ttl_s);
    RC_ASSERT(store_->put(entry).ok());
    expected_[key] = entry;
  }

  void get(answer_store& store, std::uint64_t key) {
    const auto found = store.get(law_key(key), now_s_);
    RC_ASSERT(found.ok());
    RC_ASSERT(found->has_value() == is_there(key));
    if (found->has_value())
      RC_ASSERT(is_same(**found, expected_[key]));
  }

  void forget(std::uint64_t owner) {
    const auto n = store_->forget(digest_numbered(owner));
    RC_ASSERT(n.ok());
    std::size_t n_there = 0;
    std::size_t n_kept = 0; // a store may have removed what has expired, or not
    for (std::uint64_t key = owner; key < n_law_keys; key += n_law_owners) {
      n_there += is_there(key) ? 1 : 0;
      n_kept += expected_.erase(key);
    }
    RC_ASSERT((*n >= n_there && *n <= n_kept));
  }

  /// What the other process learns from what has changed is what there is.
  void follow(std::size_t n_most) {
    for (bool is_all = false; !is_all;) {
      const auto changes = other_->changes_since(position_, n_most, now_s_);
      RC_ASSERT(changes.ok());
      RC_ASSERT(changes->added.size() + changes->removed.size() <= n_most);
      for (const auto& key : changes->removed)
        followed_.erase(key);
      for (const auto& entry : changes->added) {
        RC_ASSERT(entry->expires_s > now_s_);
        followed_[entry->exact] = entry;
      }
      position_ = changes->position;
      is_all = changes->is_all;
    }
    for (std::uint64_t key = 0; key < n_law_keys; ++key) {
      const auto found = followed_.find(law_key(key));
      const bool is_found = found != followed_.end() && found->second->expires_s > now_s_;
      if (is_there(key))
        RC_ASSERT((is_found && is_same(*found->second, expected_[key])));
      // Who did not look while a shorter-lived successor was there may keep its predecessor.
      RC_ASSERT((!is_found || expected_.contains(key)));
    }
  }

  opener open_;
  std::unique_ptr<answer_store> store_;
  std::unique_ptr<answer_store> other_;
  unix_seconds now_s_ = 1'000'000;
  std::uint64_t n_puts_ = 0;
  std::map<std::uint64_t, cache_entry> expected_;
  std::map<key_digest, cache_entry_ptr> followed_;
  std::string position_;
};

/// `open` opens the same store again and again; it is empty at first.
inline void check_store_against_a_map(const store_history::opener& open) {
  auto history = store_history(open);
  for (const auto& c :
       *rc::gen::scale(2.0, rc::gen::container<std::vector<store_command>>(any_store_command())))
    history.run(c);
  history.finish();
}

} // namespace souffleur::testing
