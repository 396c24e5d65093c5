// What a person asks of a store of answers: how much there is, what it is, and to forget some of it.
#pragma once

#include "engine/cache/answer_store.hpp"

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

namespace souffleur {

/// Calls `use` with every entry that has not expired, oldest first, until it returns false.
result<std::monostate> visit_entries(answer_store& store, unix_seconds now_s,
                                     const std::function<bool(const cache_entry&)>& use);

/// Entries, bytes, the oldest and the newest, over all and by tenant (the first digits of its digest).
result<std::monostate> write_statistics(std::ostream& out, answer_store& store, unix_seconds now_s);

enum class list_format : std::uint8_t {
  text, ///< two lines each, with the beginnings of question and answer
  json  ///< a line each: {"key", "tenant", "question", "answer", "created_s", "expires_s"}
};
/// The first `n_most` entries, all if it is 0.
result<std::monostate> write_list(std::ostream& out, answer_store& store, unix_seconds now_s,
                                  std::size_t n_most, list_format format);

/// Of every tenant, with what has expired. Returns how many entries that were.
result<std::size_t> forget_all(answer_store& store);
/// The entry whose key begins with these digits. Fails unless there is exactly one.
result<std::size_t> forget_key(answer_store& store, std::string_view digits, unix_seconds now_s);

} // namespace souffleur
