// The conversation between the response cache and the store behind it.
#pragma once

#include "engine/cache/answer_store.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace souffleur {

struct store_query {
  key_digest exact;
};
/// Null: it is not there, or the store does not answer.
struct store_reply {
  cache_entry_ptr entry;
};

struct store_search {
  key_digest partition;
  std::shared_ptr<const std::vector<float>> vector;
  std::size_t n_most = 0;
};
struct found_entry {
  cache_entry_ptr entry;
  double similarity = 0;
};
/// Best first.
struct store_findings {
  std::vector<found_entry> found;
};

struct store_order {
  cache_entry_ptr added; ///< null: the key is to be erased
  key_digest erased{};
};
using store_order_ptr = std::shared_ptr<const store_order>;

/// Carried out, or counted as a failure.
struct store_done {};

struct store_purge {
  key_digest owner;
};
struct store_purged {
  std::size_t n_entries = 0;
  bool did = false;
};

/// What changed since `position`.
struct store_poll {
  std::string position;
};
/// Null `changes`: the store does not answer.
struct store_news {
  std::shared_ptr<const store_changes> changes;
  bool searches = false; ///< as of now: a server may be replaced by another
};

} // namespace souffleur
