// The laws that Souffleur's own policies are tested with, for ours.
#include "own_policies.hpp"

#include <souffleur/testing/policy_laws.hpp>

int main() {
  using namespace souffleur::testing;
  const bool accepts = keeps_acceptance_laws([] { return std::make_unique<summarizer::even_pace>(); });
  const bool evicts = keeps_eviction_laws([] { return std::make_unique<summarizer::keep_instructions>(); });
  return accepts && evicts ? 0 : 1;
}
