// How the messages between servers and drafters travel. Include this only in .cpp files of this folder.
#pragma once

#include "actors/cluster/wire.hpp"
#include "actors/messages/remote_draft.hpp"

namespace souffleur {

template <class Inspector>
auto inspect(Inspector& f, drafter_hello& x) {
  return f(caf::meta::type_name("drafter_hello"), x.protocol, x.nonce);
}
template <class Inspector>
auto inspect(Inspector& f, drafter_challenge& x) {
  return f(caf::meta::type_name("drafter_challenge"), x.nonce, x.proof, x.vocabulary_size);
}
template <class Inspector>
auto inspect(Inspector& f, drafting_terms& x) {
  return f(caf::meta::type_name("drafting_terms"), x.model_name, x.vocabulary_size, x.vocabulary, x.races);
}
template <class Inspector>
auto inspect(Inspector& f, drafter_proof& x) {
  return f(caf::meta::type_name("drafter_proof"), x.proof, x.terms);
}
template <class Inspector>
auto inspect(Inspector& f, step_time& x) {
  return f(caf::meta::type_name("step_time"), x.n_rows, x.us);
}
template <class Inspector>
auto inspect(Inspector& f, drafter_registration& x) {
  return f(caf::meta::type_name("drafter_registration"), x.why, x.model_name, x.passes);
}
template <class Inspector>
auto inspect(Inspector& f, remote_wish& x) {
  return f(caf::meta::type_name("remote_wish"), x.id, x.salt, x.offset, x.appended, x.n_prompt, x.n_max,
           x.sampling);
}
template <class Inspector>
auto inspect(Inspector& f, draft_order& x) {
  return f(caf::meta::type_name("draft_order"), x.number, x.starts_over, x.ended, x.wishes);
}
template <class Inspector>
auto inspect(Inspector& f, drafted_chain& x) {
  return f(caf::meta::type_name("drafted_chain"), x.id, x.tokens, x.probabilities, x.n_known, x.n_behind);
}
template <class Inspector>
auto inspect(Inspector& f, drafted_batch& x) {
  return f(caf::meta::type_name("drafted_batch"), x.number, x.chains, x.pass, x.took_us);
}
template <class Inspector>
auto inspect(Inspector& f, drafter_beat&) {
  return f(caf::meta::type_name("drafter_beat"));
}

} // namespace souffleur

CAF_BEGIN_TYPE_ID_BLOCK(souffleur_drafting, caf::id_block::souffleur_cluster::end)
CAF_ADD_TYPE_ID(souffleur_drafting, (souffleur::drafter_hello))
CAF_ADD_TYPE_ID(souffleur_drafting, (souffleur::drafter_challenge))
CAF_ADD_TYPE_ID(souffleur_drafting, (souffleur::drafter_proof))
CAF_ADD_TYPE_ID(souffleur_drafting, (souffleur::drafter_registration))
CAF_ADD_TYPE_ID(souffleur_drafting, (souffleur::draft_order))
CAF_ADD_TYPE_ID(souffleur_drafting, (souffleur::drafted_batch))
CAF_ADD_TYPE_ID(souffleur_drafting, (souffleur::drafter_beat))
CAF_END_TYPE_ID_BLOCK(souffleur_drafting)
