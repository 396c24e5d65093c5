#include "policies/routing_policy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>
#include <unordered_map>

namespace souffleur {
namespace {

/// Bits that look independent for any two inputs that differ (Steele, Lea, Flood 2014, mix13).
std::uint64_t mixed(std::uint64_t bits) {
  bits += 0x9e3779b97f4a7c15U;
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
  return bits ^ (bits >> 31U);
}

/// The one that takes requests and for which `cost` is the least, among equals the first one from `start` on.
template <class Cost>
std::optional<std::size_t> cheapest(std::span<const worker_view> workers, std::size_t start, Cost cost) {
  std::optional<std::size_t> best;
  auto least = std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < workers.size(); ++i) {
    const auto at = (start + i) % workers.size();
    if (!workers[at].takes_requests)
      continue;
    if (const std::int64_t costs = cost(workers[at]); !best || costs < least) {
      best = at;
      least = costs;
    }
  }
  return best;
}

/// Where a search among equals begins: each time behind the one that was chosen.
class rotation {
public:
  std::size_t start(std::size_t n_workers) const { return n_workers == 0 ? 0 : next_ % n_workers; }
  std::optional<std::size_t> pass(std::optional<std::size_t> chosen) {
    next_ = chosen ? *chosen + 1 : next_;
    return chosen;
  }

private:
  std::size_t next_ = 0;
};

class round_robin_policy final : public routing_policy {
public:
  std::string_view name() const override { return "round_robin"; }
  std::optional<std::size_t> choose(const routing_request& /*request*/,
                                    std::span<const worker_view> workers) override {
    return turn_.pass(cheapest(workers, turn_.start(workers.size()), [](const worker_view&) { return 0; }));
  }

private:
  rotation turn_;
};

/// Fewest prompt tokens to be computed first. `cache_aware` counts the request's own, less the longest prefix
/// that the worker has cached. SGLang's router goes by the prefix until the load is out of balance by a
/// threshold, and by the load from then on; here both are tokens, so there is no threshold to set.
/// `least_loaded` leaves the request out.
class fewest_tokens_policy final : public routing_policy {
public:
  fewest_tokens_policy(bool looks_at_prefixes, const routing_options& options)
      : looks_at_prefixes_(looks_at_prefixes), options_(options) {}
  std::string_view name() const override { return looks_at_prefixes_ ? "cache_aware" : "least_loaded"; }
  bool looks_at_prefixes() const override { return looks_at_prefixes_; }
  std::optional<std::size_t> choose(const routing_request& request,
                                    std::span<const worker_view> workers) override {
    const auto counted = looks_at_prefixes_ ? request : routing_request{};
    return turn_.pass(cheapest(workers, turn_.start(workers.size()), [&](const worker_view& worker) {
      return tokens_ahead(counted, worker, options_);
    }));
  }

private:
  bool looks_at_prefixes_;
  routing_options options_;
  rotation turn_;
};

/// Consistent hashing with bounded loads (arXiv 1608.01350). Each conversation has an order of its own of all
/// workers (rendezvous hashing, Thaler and Ravishankar 1998): the first one that is below the bound gets it.
/// So a worker that leaves moves its own conversations only, to different ones.
class consistent_hash_policy final : public routing_policy {
public:
  explicit consistent_hash_policy(const routing_options& options) : options_(options) {}
  std::string_view name() const override { return "consistent_hash"; }
  std::optional<std::size_t> choose(const routing_request& request,
                                    std::span<const worker_view> workers) override {
    const auto bound = bounded_load(workers, options_.load_factor);
    std::optional<std::size_t> best;
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < workers.size(); ++i) {
      if (!workers[i].takes_requests || workers[i].n_streams >= bound)
        continue;
      const auto weight = mixed(mixed(request.conversation) ^ workers[i].id);
      if (!best || weight > highest) {
        best = i;
        highest = weight;
      }
    }
    return best;
  }

private:
  routing_options options_;
};

/// Where the conversation was last, else the least loaded.
class sticky_policy final : public routing_policy {
public:
  explicit sticky_policy(const routing_options& options) : options_(options), others_(false, options) {}
  std::string_view name() const override { return "sticky"; }
  std::optional<std::size_t> choose(const routing_request& request,
                                    std::span<const worker_view> workers) override {
    const auto known = places_.find(request.conversation);
    if (known != places_.end()) {
      newest_first_.splice(newest_first_.begin(), newest_first_, known->second);
      const auto at = std::ranges::find(workers, known->second->worker, &worker_view::id);
      if (at != workers.end() && at->takes_requests)
        return static_cast<std::size_t>(at - workers.begin());
    }
    const auto chosen = others_.choose(request, workers);
    if (chosen)
      remember(request.conversation, workers[*chosen].id);
    return chosen;
  }

private:
  struct place {
    std::uint64_t conversation;
    worker_id worker;
  };

  void remember(std::uint64_t conversation, worker_id worker) {
    if (const auto known = places_.find(conversation); known != places_.end()) {
      known->second->worker = worker;
      return;
    }
    newest_first_.push_front({conversation, worker});
    places_[conversation] = newest_first_.begin();
    if (places_.size() > options_.max_conversations) {
      places_.erase(newest_first_.back().conversation);
      newest_first_.pop_back();
    }
  }

  routing_options options_;
  fewest_tokens_policy others_;
  std::list<place> newest_first_;
  std::unordered_map<std::uint64_t, std::list<place>::iterator> places_;
};

} // namespace

std::int64_t tokens_ahead(const routing_request& request, const worker_view& worker,
                          const routing_options& options) {
  return std::int64_t{worker.n_waiting_tokens} + std::int64_t{options.stream_cost_tokens} * worker.n_streams +
         std::max(0, request.n_prompt_tokens - worker.n_matched_tokens);
}

std::int64_t bounded_load(std::span<const worker_view> workers, double load_factor) {
  std::int64_t n_workers = 0;
  std::int64_t n_streams = 1;
  for (const auto& worker : workers)
    if (worker.takes_requests) {
      ++n_workers;
      n_streams += worker.n_streams;
    }
  if (n_workers == 0)
    return 0;
  const auto mean = static_cast<double>(n_streams) / static_cast<double>(n_workers);
  return static_cast<std::int64_t>(std::ceil(std::max(1.0, load_factor) * mean));
}

std::unique_ptr<routing_policy> make_routing_policy(std::string_view name, const routing_options& options) {
  if (name == "round_robin")
    return std::make_unique<round_robin_policy>();
  if (name == "least_loaded")
    return std::make_unique<fewest_tokens_policy>(false, options);
  if (name == "cache_aware")
    return std::make_unique<fewest_tokens_policy>(true, options);
  if (name == "consistent_hash")
    return std::make_unique<consistent_hash_policy>(options);
  if (name == "sticky")
    return std::make_unique<sticky_policy>(options);
  return registered_policies<routing_policy>().make(name);
}

bool register_routing_policy(const std::string& name, policy_factory<routing_policy> make) {
  return make_routing_policy(name) == nullptr &&
         registered_policies<routing_policy>().add(name, std::move(make));
}

} // namespace souffleur
