// The conversation between a server and its drafter in another process, on another machine perhaps. It is
// about tokens; no text is in it.
#pragma once

#include "engine/sampling_params.hpp"
#include "policies/step_cost.hpp"
#include "policies/token.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace souffleur {

/// Both sides have to have the same; raised when a message changes.
inline constexpr int drafter_protocol = 1;

// ---- From who connects to a drafter until that drafts for it.

/// The server's first word. Nonces are 32 random bytes.
struct drafter_hello {
  int protocol = drafter_protocol;
  std::string nonce;
};
/// The drafter knows the secret.
struct drafter_challenge {
  std::string nonce;
  std::string proof;
  int vocabulary_size = 0; ///< of the drafter
};
/// What the drafts are for.
struct drafting_terms {
  std::string model_name;  ///< for people
  int vocabulary_size = 0; ///< of the server's model
  std::string vocabulary;  ///< fingerprint of the ids that both have
  bool races = false;      ///< acceptance is gumbel: tokens are drawn with a coin for each
};
struct drafter_proof {
  std::string proof;
  drafting_terms terms;
};
/// Empty `why`: the drafter is at the server's service.
struct drafter_registration {
  std::string why;
  std::string model_name;
  std::vector<step_time> passes; ///< what its model's passes took when it started
};

// ---- Afterwards.

/// As draft_wish, with what a draft model has to know of its subject.
struct remote_wish {
  sequence_id id = 0;
  std::string salt; ///< the same for one tenant, whom it does not name
  int offset = 0;
  std::vector<token_id> appended;
  int n_prompt = 0;
  int n_max = 0;
  sampling_params sampling; ///< without stop strings
};

/// All that a step asks. The next one is sent when this one was answered.
struct draft_order {
  std::uint64_t number = 0;
  bool starts_over = false; ///< sequences of earlier orders are gone, but for those that it names
  std::vector<sequence_id> ended;
  std::vector<remote_wish> wishes;
};

/// As draft_proposal: a chain, perhaps empty.
struct drafted_chain {
  sequence_id id = 0;
  std::vector<token_id> tokens;
  std::vector<float> probabilities; ///< one a token
  int n_known = 0;
  int n_behind = 0;
};

struct drafted_batch {
  std::uint64_t number = 0;          ///< the order's
  std::vector<drafted_chain> chains; ///< in the order of its wishes
  step_time pass;                    ///< as in a draft_offer
  double took_us = 0;                ///< all passes, and the wait for them, on the drafter's side
};

/// Regularly, both ways; who is silent for long is taken for dead.
struct drafter_beat {};

} // namespace souffleur
