// Two decisions that this program takes otherwise than Souffleur does.
#pragma once

#include <souffleur/policies/acceptance_policy.hpp>
#include <souffleur/policies/eviction_policy.hpp>

namespace summarizer {

/// Keeps what many requests have gone on from, here the instructions that all sections share, whatever its
/// age; of the rest the longest unused goes first.
class keep_instructions final : public souffleur::eviction_policy {
public:
  std::string_view name() const override { return "keep_instructions"; }
  souffleur::eviction_key key(const souffleur::cached_node& node) const override;
};

/// What "coupled" would emit, but at most three tokens at a time: the text comes at an even pace and not in
/// bursts. Lossless, since what is cut off a step comes out of the next ones.
class even_pace final : public souffleur::acceptance_policy {
public:
  std::string_view name() const override { return "even_pace"; }
  bool lossless() const override { return true; }
  std::vector<souffleur::ending> plan(const souffleur::verification_tree& draft,
                                      const souffleur::target_rows& target) const override;
  souffleur::verdict decide(const souffleur::verification_tree& draft, const souffleur::target_rows& target,
                            const souffleur::coins& from) const override;

private:
  static constexpr std::size_t most_rows = 3; ///< that may stand; each gives a token

  std::unique_ptr<souffleur::acceptance_policy> coupled_ = souffleur::make_acceptance_policy("coupled");
};

/// So that Souffleur's configuration can name them.
void register_policies();

} // namespace summarizer
