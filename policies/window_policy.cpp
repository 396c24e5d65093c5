#include "policies/window_policy.hpp"

namespace souffleur {
namespace {

class full_policy final : public window_policy {
public:
  std::string_view name() const override { return "full"; }
  std::vector<token_span> evicted(int, int) const override { return {}; }
};

} // namespace

std::unique_ptr<window_policy> make_window_policy(std::string_view name) {
  if (name == "full") {
    return std::make_unique<full_policy>();
  }
  return nullptr;
}

} // namespace souffleur
