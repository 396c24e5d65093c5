#include "engine/cache/redis/neighbour_search.hpp"

#include "engine/cache/entry_codec.hpp"
#include "engine/cache/redis/vector_sets.hpp"

#include <utility>

namespace souffleur {

namespace {

/// Those of `found` that have an entry, of that partition. Adds the names of those that have none to `dead`:
/// the server drops entries that have expired or, when it is full, any; but not their vectors.
result<std::vector<stored_neighbour>> with_entries(redis_access& redis,
                                                   const std::vector<stored_neighbour>& found,
                                                   const key_digest& partition,
                                                   std::vector<std::string>& dead, deadline until) {
  redis_pipeline commands;
  for (const auto& each : found)
    commands.add(
        {"GETRANGE", redis.keys.entry(to_hex(each.exact)), "0", std::to_string(encoded_names_bytes - 1)});
  const auto replies = redis.connection.run(commands, until);
  if (!replies)
    return failure{replies.error()};
  std::vector<stored_neighbour> living;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto bytes = text_of(*(*replies)[i]);
    const auto names = bytes ? decode_names(*bytes) : std::nullopt;
    if (bytes && bytes->empty())
      dead.push_back(to_hex(found[i].exact));
    else if (names && names->exact == found[i].exact && names->partition == partition)
      living.push_back(found[i]);
    else
      ++redis.counters.n_damaged;
  }
  return living;
}

} // namespace

result<std::vector<stored_neighbour>> search_neighbours(redis_access& redis, const key_digest& partition,
                                                        std::span<const float> vector, std::size_t n,
                                                        unix_seconds now_s, deadline until) {
  constexpr int most_searches = 3; // the dead of the last are removed by the next call
  const auto key =
      redis.keys.vectors(vector_set_name(partition, redis.options.embedder, redis.options.n_dimensions));
  std::vector<std::string> dead;
  for (int i = 1;; ++i) {
    redis_pipeline commands;
    for (const auto& exact : std::exchange(dead, {}))
      remove_vector(commands, key, exact);
    find_nearest(commands, key, vector, n, now_s);
    const auto replies = redis.connection.run(commands, until);
    if (!replies)
      return failure{replies.error()};
    const auto& reply = *replies->back();
    if (const auto error = error_of(reply); error && !is_wrong_type(reply))
      return failure{std::string{*error}};
    const auto found = neighbours_of(reply);
    if (!found) {
      ++redis.counters.n_damaged;
      return std::vector<stored_neighbour>{};
    }
    auto living = with_entries(redis, *found, partition, dead, until);
    if (!living || dead.empty() || i == most_searches)
      return living;
  }
}

} // namespace souffleur
