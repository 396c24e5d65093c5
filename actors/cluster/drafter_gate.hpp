// The actor of a drafter that servers reach, the only one that they can. Include this only in .cpp files.
#pragma once

#include "actors/cluster/drafting_desk.hpp"
#include "actors/cluster/node_system.hpp"
#include "actors/messages/admission.hpp"
#include "engine/tokenizer.hpp"

#include <map>
#include <set>

namespace souffleur {

/// What a drafter has to say of itself.
struct drafter_profile {
  std::string model_name;
  std::shared_ptr<const tokenizer> vocabulary;
  std::vector<step_time> passes;
};

/// From the desk to the gate.
struct desk_answer {
  std::uint64_t number = 0;
  std::uint64_t n_server = 0; ///< for whom it was
  draft_offer_ptr offer;      ///< null: the draft model has failed
  steady_time began{};
};

struct drafter_gate_state {
  cluster_config config;
  drafter_profile profile;
  std::shared_ptr<drafting_desk> desk;
  struct guest {
    std::string server_nonce;
    std::string drafter_nonce;
    steady_time since;
  };
  std::map<caf::actor_addr, guest> guests; ///< that have not shown yet that they know the secret

  caf::actor server; ///< null: it drafts for nobody
  std::string server_model;
  std::uint64_t n_servers = 0;
  steady_time heard{};
  std::set<sequence_id> known; ///< of the server
};
/// It drafts for one server at a time. Whoever comes meanwhile is told so, and tries again.
caf::behavior drafter_gate(caf::stateful_actor<drafter_gate_state>* self, const cluster_config& config,
                           const drafter_profile& profile, std::shared_ptr<drafting_desk> desk);

} // namespace souffleur

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souffleur::desk_answer)
