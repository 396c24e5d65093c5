#include "actors/reply_handle.hpp"

namespace souffleur {

reply_handle::~reply_handle() {
  fail({503, "engine_restarted", "The part of the server that held this request was restarted; try again.",
        "", 1});
}

void reply_handle::emit(generation_event&& event) {
  if (!ended_.load())
    sink_(std::move(event));
}

void reply_handle::end(generation_event&& event) {
  if (ended_.exchange(true))
    return;
  credits_->give_back();
  sink_(std::move(event));
}

} // namespace souffleur
