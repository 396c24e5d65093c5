#include "actors/reply_handle.hpp"

namespace souffleur {

admission admission_credits::take(const std::string& tenant, int n) {
  const std::lock_guard lock{mutex_};
  if (in_flight_ > limit_ - n)
    return admission::queue_full;
  const auto found = of_tenant_.find(tenant);
  if ((found == of_tenant_.end() ? 0 : found->second) > limit_per_tenant_ - n)
    return admission::tenant_queue_full;
  of_tenant_[tenant] += n;
  in_flight_ += n;
  return admission::granted;
}

void admission_credits::give_back(const std::string& tenant, int n) {
  const std::lock_guard lock{mutex_};
  in_flight_ -= n;
  const auto found = of_tenant_.find(tenant);
  if ((found->second -= n) == 0)
    of_tenant_.erase(found);
}

int admission_credits::in_flight() const {
  const std::lock_guard lock{mutex_};
  return in_flight_;
}

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
  if (credits_)
    credits_->give_back(tenant_);
  sink_(std::move(event));
}

} // namespace souffleur
