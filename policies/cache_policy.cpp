#include "policies/cache_policy.hpp"

#include "policies/named.hpp"

namespace souffleur {
namespace {

class off_policy final : public cache_policy {
public:
  std::string_view name() const override { return "off"; }
  bool may_serve(const cache_candidate&) const override { return false; }
  bool may_store(const cache_candidate&) const override { return false; }
};

/// Serves only answers that computing again would repeat: greedy ones, or drawn with a seed that the client
/// chose.
class exact_policy final : public cache_policy {
public:
  std::string_view name() const override { return "exact"; }
  bool may_serve(const cache_candidate& request) const override {
    return !request.opted_out && !request.wants_logprobs && (request.temperature == 0 || request.seeded);
  }
  bool may_store(const cache_candidate& answer) const override {
    return answer.complete && may_serve(answer);
  }
};

} // namespace

std::unique_ptr<cache_policy> make_cache_policy(std::string_view name) {
  return make_named<cache_policy, off_policy, exact_policy>(name);
}

} // namespace souffleur
