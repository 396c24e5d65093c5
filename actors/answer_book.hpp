// Finished answers by exact key, bounded in bytes and age: the response cache without its mailbox.
#pragma once

#include "actors/messages/response_cache.hpp"

#include <chrono>
#include <list>
#include <string>
#include <unordered_map>

namespace souffleur {

/// Least recently used first out. An entry is never returned at or after its time to live.
class answer_book {
public:
  using time = std::chrono::steady_clock::time_point;
  answer_book(std::size_t max_bytes, std::chrono::seconds ttl) : max_bytes_(max_bytes), ttl_(ttl) {}

  stored_answer_ptr find(const std::string& key, time now);
  /// Replaces an older answer of the same key. An answer larger than the whole book is not kept.
  void insert(const std::string& key, stored_answer_ptr answer, time now);
  std::size_t size_bytes() const { return n_bytes_; }
  std::size_t size() const { return index_.size(); }

private:
  struct entry {
    std::string key;
    stored_answer_ptr answer;
    time stored;
    std::size_t n_bytes = 0;
  };
  using order = std::list<entry>;
  void erase(order::iterator i);

  std::size_t max_bytes_;
  std::chrono::seconds ttl_;
  std::size_t n_bytes_ = 0;
  order order_; ///< most recently used first
  std::unordered_map<std::string, order::iterator> index_;
};

} // namespace souffleur
