// How much a tenant may ask for, and when it may ask again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

/// Of one tenant; 0: no limit.
struct tenant_limits {
  double requests_per_minute = 0;
  double tokens_per_minute = 0; ///< of prompts and answers
  double tokens_per_day = 0;
  bool operator==(const tenant_limits&) const = default;
  bool any() const { return requests_per_minute > 0 || tokens_per_minute > 0 || tokens_per_day > 0; }
};

enum class limited : std::uint8_t { nothing, requests_per_minute, tokens_per_minute, tokens_per_day };

struct admission_verdict {
  limited by = limited::nothing;
  double wait_s = 0; ///< until the same request would be admitted, if nothing else comes before it
};

/// What is left of a limit, as OpenAI's x-ratelimit headers tell it.
struct limit_standing {
  double limit = 0;
  double left = 0;
  double full_after_s = 0; ///< until all of it is there again, if nothing more is asked
};

/// Token buckets (one minute's worth is what a tenant may ask for at once) and a fixed window of 24 hours
/// that begins with a tenant's first token in it. Tokens are counted when they are known, after the request:
/// what was admitted is finished, and a bucket may be overdrawn; then nothing is admitted until it is above
/// zero again. `now_s` never goes back; what does is taken for the latest. Remembers those who asked lately
/// only: whoever stands where a newcomer would is forgotten.
class limit_ledger {
public:
  /// Counts the request if it is admitted.
  admission_verdict admit(std::string_view tenant, const tenant_limits& limits, double now_s);
  void charge(std::string_view tenant, const tenant_limits& limits, double n_tokens, double now_s);

  /// Nothing: there is no such limit.
  std::optional<limit_standing> requests(std::string_view tenant, const tenant_limits& limits,
                                         double now_s) const;
  std::optional<limit_standing> tokens(std::string_view tenant, const tenant_limits& limits,
                                       double now_s) const;
  std::size_t size() const { return accounts_.size(); }

  static constexpr std::size_t most_remembered = 4096; ///< about; more only if all of them asked lately

private:
  struct account {
    tenant_limits limits;     ///< as of `at_s`
    double requests_used = 0; ///< as of `at_s`: falls by a sixtieth of the limit each second
    double tokens_used = 0;
    double day_used = 0; ///< since day_began_s
    double day_began_s = 0;
    double at_s = 0;
  };
  static account brought_to(account before, double now_s);
  account seen(std::string_view tenant, const tenant_limits& limits, double now_s) const;
  void keep(std::string_view tenant, const account& changed);
  void forget_idle();

  std::map<std::string, account, std::less<>> accounts_;
  double latest_s_ = 0;
  std::size_t forget_at_ = most_remembered;
};

} // namespace souffleur
