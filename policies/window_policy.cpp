#include "policies/window_policy.hpp"

#include "policies/named.hpp"

#include <algorithm>

namespace souffleur {
namespace {

constexpr int whole_pages(int n_positions) { return pages_for(n_positions) * page_tokens; }

class full_policy final : public window_policy {
public:
  std::string_view name() const override { return "full"; }
  int n_dropped(const window_limits&, int) const override { return 0; }
  int n_sinks(const window_limits&) const override { return 0; }
  int most_kept(const window_limits&) const override { return 0; }
};

/// StreamingLLM (arXiv 2309.17453) in whole pages: the sinks and between n_window and n_window + page_tokens
/// of the last positions, both limits rounded up to pages.
class sinks_policy final : public window_policy {
public:
  std::string_view name() const override { return "sinks"; }
  int n_dropped(const window_limits& limits, int position) const override {
    const int n_over = position - n_sinks(limits) - whole_pages(limits.n_window);
    return std::max(0, n_over) / page_tokens * page_tokens;
  }
  int n_sinks(const window_limits& limits) const override { return whole_pages(limits.n_sinks); }
  int most_kept(const window_limits& limits) const override {
    return n_sinks(limits) + whole_pages(limits.n_window) + page_tokens;
  }
};

} // namespace

std::unique_ptr<window_policy> make_window_policy(std::string_view name) {
  return make_named<window_policy, full_policy, sinks_policy>(name);
}

} // namespace souffleur
