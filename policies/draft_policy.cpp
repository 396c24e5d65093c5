#include "policies/draft_policy.hpp"

#include "policies/named.hpp"

#include <algorithm>
#include <cmath>

namespace souffleur {
namespace {

constexpr int few_proposals = 8;
constexpr int length_without_evidence = 4;
constexpr int crowded_batch = 16;
constexpr double poor_rate = 0.1;

/// The last token of an answer needs no draft: the verifying row brings one of its own.
int cap(const draft_situation& now) {
  return std::max(0, std::min(now.max_draft_tokens, now.n_remaining_tokens - 1));
}

class fixed_policy final : public draft_policy {
public:
  std::string_view name() const override { return "fixed"; }
  int n_draft_tokens(const draft_situation& now) const override { return cap(now); }
};

/// Drafts about twice the run that the recent acceptance rate a predicts, a / (1 - a), plus one. With little
/// evidence it probes with a short draft, so a sequence whose counts have decayed is tried again; with poor
/// acceptance it keeps one token. In a crowded batch the rows are worth more as other sequences: at most one,
/// and only where most stand.
class adaptive_policy final : public draft_policy {
public:
  std::string_view name() const override { return "adaptive"; }
  int n_draft_tokens(const draft_situation& now) const override { return std::min(cap(now), wanted(now)); }

private:
  static int wanted(const draft_situation& now) {
    const int proposed = std::max(0, now.n_recently_proposed);
    const int accepted = std::clamp(now.n_recently_accepted, 0, proposed);
    const double rate = (accepted + 1.0) / (proposed + 2.0);
    if (now.n_running >= crowded_batch) {
      return rate >= 0.5 ? 1 : 0;
    }
    if (proposed < few_proposals) {
      return length_without_evidence;
    }
    if (accepted < poor_rate * proposed) {
      return 1;
    }
    const double run = 2 * rate / (1 - rate);
    return 1 + static_cast<int>(std::lround(std::min(run, 1e6)));
  }
};

class off_policy final : public draft_policy {
public:
  std::string_view name() const override { return "off"; }
  int n_draft_tokens(const draft_situation&) const override { return 0; }
};

} // namespace

std::unique_ptr<draft_policy> make_draft_policy(std::string_view name) {
  return make_named<draft_policy, fixed_policy, adaptive_policy, off_policy>(name);
}

} // namespace souffleur
