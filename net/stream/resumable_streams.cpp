#include "net/stream/resumable_streams.hpp"

#include "net/random_hex.hpp"

#include <algorithm>

namespace souffleur {

namespace {

/// 128 bits: nobody guesses it.
std::string fresh_token() { return random_hex(16); }

} // namespace

void resumable_streams::add(const stream_ptr& added) {
  added->set_resume_token(fresh_token());
  entries_[added->resume_token()].where = added;
}

void resumable_streams::forget(const stream& gone) {
  unpark(gone);
  entries_.erase(gone.resume_token());
}

resumable_streams::stream_ptr resumable_streams::find(const std::string& token, const std::string& stream_id,
                                                      const std::string& tenant) const {
  const auto found = entries_.find(token);
  auto there = found == entries_.end() ? nullptr : found->second.where.lock();
  return there && there->id() == stream_id && there->tenant() == tenant ? there : nullptr;
}

std::vector<resumable_streams::stream_ptr> resumable_streams::park(const stream_ptr& left, stream_time now) {
  auto& here = entries_.at(left->resume_token());
  here.parked = left;
  here.until = now + keep_;
  ++n_parked_;
  if (static_cast<int>(n_parked_) <= max_parked_)
    return {};
  const auto waits_longer = [](const auto& a, const auto& b) {
    return std::pair{!a.second.parked, a.second.until} < std::pair{!b.second.parked, b.second.until};
  };
  return {take(std::ranges::min_element(entries_, waits_longer))};
}

resumable_streams::stream_ptr resumable_streams::take(std::unordered_map<std::string, entry>::iterator at) {
  auto taken = std::move(at->second.parked);
  entries_.erase(at);
  --n_parked_;
  return taken;
}

void resumable_streams::unpark(const stream& back) {
  const auto found = entries_.find(back.resume_token());
  if (found != entries_.end() && std::exchange(found->second.parked, nullptr))
    --n_parked_;
}

std::vector<resumable_streams::stream_ptr> resumable_streams::expire(stream_time now) {
  std::vector<stream_ptr> gone;
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto here = at++;
    if (here->second.parked && here->second.until <= now)
      gone.push_back(take(here));
    else if (here->second.where.expired())
      entries_.erase(here);
  }
  return gone;
}

std::vector<resumable_streams::stream_ptr> resumable_streams::expire_all() {
  return expire(stream_time::max());
}

std::optional<stream_time> resumable_streams::due() const {
  std::optional<stream_time> first;
  for (const auto& [token, here] : entries_)
    if (here.parked && (!first || here.until < *first))
      first = here.until;
  return first;
}

} // namespace souffleur
