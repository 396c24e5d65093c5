#include "policies/cacheability.hpp"

#include <algorithm>
#include <array>

namespace souffleur {

namespace {

constexpr std::array<std::string_view, 3> mode_names = {"off", "exact", "semantic"};

uncached reason_against(const cache_traits& traits, const cache_wish& wish, const cache_limits& limits) {
  if (limits.mode == cache_mode::off)
    return uncached::by_server;
  if (wish.mode == cache_mode::off)
    return uncached::by_request;
  if (traits.is_lossy)
    return uncached::lossy;
  if (traits.wants_logprobs)
    return uncached::logprobs;
  if (traits.n_choices > 1)
    return uncached::choices;
  if (traits.temperature > limits.max_temperature && !traits.is_seeded)
    return uncached::temperature;
  return uncached::no;
}

} // namespace

std::optional<cache_mode> cache_mode_named(std::string_view name) {
  const auto found = std::find(mode_names.begin(), mode_names.end(), name);
  if (found == mode_names.end())
    return std::nullopt;
  return static_cast<cache_mode>(found - mode_names.begin());
}

std::string_view to_string(uncached why) {
  constexpr std::array<std::string_view, 7> names = {"no",      "by_server", "by_request", "temperature",
                                                     "choices", "logprobs",  "lossy"};
  return names[static_cast<std::size_t>(why)];
}

cache_permit permit_for(const cache_traits& traits, const cache_wish& wish, const cache_limits& limits) {
  cache_permit permit;
  permit.why = reason_against(traits, wish, limits);
  permit.threshold = wish.threshold.value_or(limits.threshold);
  permit.max_error = wish.max_error.value_or(limits.max_error);
  permit.ttl_s = std::min(wish.ttl_s.value_or(limits.ttl_s), limits.ttl_s);
  if (permit.why != uncached::no)
    return permit;
  permit.exact = true;
  permit.reads = !wish.refresh;
  // Who chose a seed wants the answer of that seed, not one that means the same.
  const bool takes_another = traits.temperature <= limits.max_temperature;
  permit.semantic = std::min(wish.mode.value_or(limits.mode), limits.mode) == cache_mode::semantic &&
                    takes_another && !traits.has_tools && traits.is_text_whole && permit.max_error > 0;
  return permit;
}

bool may_store(const cache_permit& permit, answer_end end) {
  return permit.exact && end == answer_end::stop && permit.ttl_s > 0;
}

} // namespace souffleur
