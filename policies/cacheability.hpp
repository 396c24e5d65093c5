// Whether an answer may come from the cache, and whether one may go there.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace souffleur {

/// What may be served in place of generating: nothing, the answer to the very same request, or to one that
/// means the same. Each allows what those before it do.
enum class cache_mode : std::uint8_t { off, exact, semantic };

/// "off", "exact" or "semantic".
std::optional<cache_mode> cache_mode_named(std::string_view name);

/// `souffleur.cache` of a request.
struct cache_wish {
  std::optional<cache_mode> mode;  ///< no more than the server's
  std::optional<double> threshold; ///< cosine from which `fixed` and `guarded` serve, 0 to 1
  std::optional<double> max_error; ///< what `bounded` promises, 0 to 1
  std::optional<double> ttl_s;     ///< of the answer if it is stored; no more than the server's
  bool refresh = false;            ///< generate, and store that answer in place of an older one
  bool operator==(const cache_wish&) const = default;
};

/// What the server is configured to.
struct cache_limits {
  cache_mode mode = cache_mode::off;
  double max_temperature = 0; ///< above it, an answer is only repeated to who asks with the same seed
  double threshold = 0.9;
  double max_error = 0.01;
  double ttl_s = 3600;
};

/// What a request has that matters here.
struct cache_traits {
  double temperature = 0;
  bool is_seeded = false; ///< the client chose the seed
  int n_choices = 1;
  bool wants_logprobs = false;
  bool has_tools = false;
  bool is_lossy = false;     ///< drafts may change what is said
  bool is_text_whole = true; ///< the embedder sees all of the text that is compared
};

/// Why a request has nothing to do with the cache.
enum class uncached : std::uint8_t { no, by_server, by_request, temperature, choices, logprobs, lossy };

std::string_view to_string(uncached why);

struct cache_permit {
  uncached why = uncached::no;
  bool exact = false;    ///< the exact key may be looked up and stored under
  bool semantic = false; ///< and so may the partition
  bool reads = false;    ///< false: only stores
  double threshold = 0;
  double max_error = 0;
  double ttl_s = 0;
};

cache_permit permit_for(const cache_traits& traits, const cache_wish& wish, const cache_limits& limits);

/// How an answer ended.
enum class answer_end : std::uint8_t { stop, length, deadline, cancelled, failed, filtered, tool_call };

/// Only what came to its own end is worth repeating.
bool may_store(const cache_permit& permit, answer_end end);

} // namespace souffleur
