#include "engine/cache/redis_store.hpp"

#include "engine/cache/redis/access.hpp"
#include "engine/cache/redis/change_reader.hpp"
#include "engine/cache/redis/entry_reader.hpp"
#include "engine/cache/redis/entry_writer.hpp"
#include "engine/cache/redis/neighbour_search.hpp"

#include <utility>

namespace souffleur {

namespace {

redis_connection_options connection_options(const redis_store_options& options, redis_address address) {
  return {.address = std::move(address),
          .connect_timeout = options.connect_timeout,
          .first_back_off = options.first_back_off,
          .most_back_off = options.most_back_off};
}

class redis_store final : public answer_store {
public:
  redis_store(const redis_store_options& options, redis_address address)
      : redis_{options,
               redis_keys{options.prefix},
               redis_connection{connection_options(options, std::move(address))},
               {}} {
    (void)redis_.connection.connect(deadline_in(options.connect_timeout));
  }

  std::string_view name() const override { return "redis"; }

  result<std::optional<cache_entry>> get(const key_digest& exact, unix_seconds now_s) override {
    ++redis_.counters.n_reads;
    auto found = counted(read_entry(redis_, exact, now_s, lookup_deadline()));
    redis_.counters.n_found += found && *found;
    return found;
  }

  result<std::monostate> put(const cache_entry& entry) override {
    constexpr std::uint64_t n_puts_to_a_sweep = 16;
    const auto until = background_deadline();
    auto written = counted(write_entry(redis_, entry, until));
    if (written && ++redis_.counters.n_writes % n_puts_to_a_sweep == 0)
      sweep_expired(redis_, entry.owner, entry.created_s, until);
    return written;
  }

  result<std::monostate> erase(const key_digest& exact) override {
    return counted(remove_entry(redis_, exact, background_deadline()));
  }

  result<std::size_t> forget(const key_digest& owner) override {
    return counted(remove_owned(redis_, owner, background_deadline()));
  }

  result<store_changes> changes_since(const std::string& position, std::size_t n_most,
                                      unix_seconds now_s) override {
    return counted(read_changes(redis_, position, n_most, now_s, background_deadline()));
  }

  bool searches() const override { return redis_.has_search(); }

  result<std::vector<stored_neighbour>> nearest(const key_digest& partition, std::span<const float> vector,
                                                std::size_t n, unix_seconds now_s) override {
    if (vector.size() != redis_.options.n_dimensions)
      return counted(result<std::vector<stored_neighbour>>{failure{"the vector has other dimensions"}});
    return counted(search_neighbours(redis_, partition, vector, n, now_s, lookup_deadline()));
  }

  store_counters counters() const override {
    auto all = redis_.counters;
    all.is_reachable = redis_.connection.is_reachable();
    return all;
  }

private:
  deadline lookup_deadline() const { return deadline_in(redis_.options.lookup_timeout); }
  deadline background_deadline() const { return deadline_in(redis_.options.background_timeout); }

  template <class Value>
  result<Value> counted(result<Value> outcome) {
    redis_.counters.n_failures += !outcome.ok();
    return outcome;
  }

  redis_access redis_;
};

} // namespace

result<std::unique_ptr<answer_store>> open_redis_store(const redis_store_options& options) {
  auto address = parse_redis_address(options.url);
  if (!address)
    return failure{address.error()};
  return std::unique_ptr<answer_store>{std::make_unique<redis_store>(options, std::move(*address))};
}

} // namespace souffleur
