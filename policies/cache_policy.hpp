// Which answers are stored and served again.
#pragma once

#include <memory>
#include <string_view>

namespace souffleur {

/// What decides about caching, without the text itself.
struct cache_candidate {
  double temperature = 0;
  bool seeded = false;    ///< the client chose the seed
  bool opted_out = false; ///< the request asked for no caching
  bool wants_logprobs = false;
  bool complete = false; ///< the answer ended with a stop, not with an error, a cancel or a length limit
};

class cache_policy {
public:
  virtual ~cache_policy() = default;
  virtual std::string_view name() const = 0;
  virtual bool may_serve(const cache_candidate& request) const = 0;
  virtual bool may_store(const cache_candidate& answer) const = 0;
};

/// Names: "off", "exact". Null if the name is unknown.
std::unique_ptr<cache_policy> make_cache_policy(std::string_view name);

} // namespace souffleur
