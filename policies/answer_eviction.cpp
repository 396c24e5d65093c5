#include "policies/answer_eviction.hpp"

#include "policies/named.hpp"

namespace souffleur {
namespace {

class lru_eviction final : public answer_eviction {
public:
  std::string_view name() const override { return "lru"; }
  eviction_key key(const answer_use& use) const override {
    return {static_cast<double>(use.last_used), static_cast<double>(use.created)};
  }
};

class lfu_eviction final : public answer_eviction {
public:
  std::string_view name() const override { return "lfu"; }
  eviction_key key(const answer_use& use) const override {
    return {static_cast<double>(use.hits), static_cast<double>(use.last_used)};
  }
};

/// Greedy dual size frequency (Cherkasova 1998): age + frequency * cost / size, so that old fame fades: the
/// tokens that the answer is expected to save for each byte that it takes.
class gdsf_eviction final : public answer_eviction {
public:
  std::string_view name() const override { return "gdsf"; }
  eviction_key key(const answer_use& use) const override {
    const auto saved = static_cast<double>((1 + use.hits) * use.n_tokens);
    return {use.age + saved / static_cast<double>(1 + use.n_bytes), static_cast<double>(use.last_used)};
  }
};

} // namespace

std::unique_ptr<answer_eviction> make_answer_eviction(std::string_view name) {
  return make_named<answer_eviction, gdsf_eviction, lru_eviction, lfu_eviction>(name);
}

} // namespace souffleur
