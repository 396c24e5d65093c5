// The stream of what all processes put and erased, and a reader's place in it.
#pragma once

#include "engine/cache/redis/pipeline.hpp"
#include "engine/cache/redis/reply.hpp"
#include "policies/key_digest.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souffleur {

enum class entry_change { added, removed };

/// At the end of the stream, of which the server drops the oldest records beyond about `n_most`.
void log_change(redis_pipeline& to, std::string_view key, entry_change change, std::string_view exact_hex,
                std::size_t n_most);

struct logged_change {
  key_digest exact;
  entry_change change = entry_change::added;
};

struct logged_changes {
  std::string last_id; ///< empty: there are none
  std::size_t n_records = 0;
  std::vector<logged_change> changes; ///< of each key only its last, in the order of these
  std::size_t n_damaged = 0;
};

/// What XRANGE and XREVRANGE are answered. Nothing if it is another kind of answer.
std::optional<logged_changes> changes_of(const redisReply& reply);

/// How far a reader is. First it looks at all entries, in the server's order (SCAN), then at the changes
/// after the one that was the last when it began.
struct change_position {
  static constexpr std::string_view before_all = "0-0"; ///< as an id: the stream was empty

  std::string run_id;  ///< of the server whose cursor it is
  std::string cursor;  ///< of SCAN; empty: all were looked at
  std::string last_id; ///< of the last change that need not be read
  bool operator==(const change_position&) const = default;

  std::string text() const { return run_id + " " + cursor + " " + last_id; }
  /// Nothing, if it is not what `text` writes.
  static std::optional<change_position> parse(std::string_view text);
};

} // namespace souffleur
