#include "actors/embedding_reply.hpp"

namespace souffleur {

embedding_reply::~embedding_reply() {
  fail({503, "engine_restarted", "The part of the server that held this request was restarted; try again.",
        "", 1});
}

void embedding_reply::end(embedding_event&& event) {
  if (ended_.exchange(true))
    return;
  if (credits_)
    credits_->give_back(tenant_, n_credits_);
  sink_(std::move(event));
}

} // namespace souffleur
