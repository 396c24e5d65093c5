// What a Redis server answers (RESP2), read by hiredis.
#pragma once

#include "engine/result.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string_view>

struct redisReader;
struct redisReply;

namespace souffleur {

struct redis_deleter {
  void operator()(redisReader* reader) const;
  void operator()(redisReply* reply) const;
};
using redis_reply = std::unique_ptr<redisReply, redis_deleter>;

/// Each looks at a reply of any kind: what it is not, it does not have. The views are the reply's.
std::optional<std::string_view> error_of(const redisReply& reply);
/// Of a string or a status.
std::optional<std::string_view> text_of(const redisReply& reply);
std::optional<long long> integer_of(const redisReply& reply);
/// Empty if it is no array.
std::span<redisReply* const> items_of(const redisReply& reply);
bool is_null(const redisReply& reply);

/// A value that is there, but is something else than we store under such a name.
bool is_wrong_type(const redisReply& reply);

/// The value of `name` in what INFO is answered; empty if it has none.
std::string_view info_field(std::string_view info, std::string_view name);

/// Cuts what the server sends into replies.
class reply_reader {
public:
  reply_reader();
  void add(std::span<const char> bytes);
  /// Null: the next one is not whole yet. Fails for good if it is no RESP.
  result<redis_reply> next();

private:
  std::unique_ptr<redisReader, redis_deleter> reader_;
};

} // namespace souffleur
