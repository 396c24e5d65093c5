#include "engine/cache/redis/reply.hpp"

#include <hiredis/hiredis.h>

#include <string>

namespace souffleur {

void redis_deleter::operator()(redisReader* reader) const { redisReaderFree(reader); }
void redis_deleter::operator()(redisReply* reply) const { freeReplyObject(reply); }

std::optional<std::string_view> error_of(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ERROR)
    return std::nullopt;
  return std::string_view{reply.str, reply.len};
}

std::optional<std::string_view> text_of(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_STRING && reply.type != REDIS_REPLY_STATUS)
    return std::nullopt;
  return std::string_view{reply.str, reply.len};
}

std::optional<long long> integer_of(const redisReply& reply) {
  return reply.type == REDIS_REPLY_INTEGER ? std::optional{reply.integer} : std::nullopt;
}

std::span<redisReply* const> items_of(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY)
    return {};
  return {reply.element, reply.elements};
}

bool is_null(const redisReply& reply) { return reply.type == REDIS_REPLY_NIL; }

bool is_wrong_type(const redisReply& reply) {
  const auto error = error_of(reply);
  return error && error->starts_with("WRONGTYPE");
}

std::string_view info_field(std::string_view info, std::string_view name) {
  std::string beginning{"\n"};
  beginning.append(name).append(":");
  const auto start = info.find(beginning);
  if (start == info.npos)
    return {};
  const auto value = info.substr(start + beginning.size());
  return value.substr(0, value.find_first_of("\r\n"));
}

reply_reader::reply_reader() : reader_(redisReaderCreate()) {}

void reply_reader::add(std::span<const char> bytes) {
  redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

result<redis_reply> reply_reader::next() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK)
    return failure{std::string{"reading a reply: "} + reader_->errstr};
  return redis_reply{static_cast<redisReply*>(reply)};
}

} // namespace souffleur
