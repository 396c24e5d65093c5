#include "actors/cluster/remote_drafting.hpp"

#include "actors/cluster/draft_exchange.hpp"
#include "engine/drafting/model_drafter.hpp"
#include "engine/elapsed.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace souffleur {

namespace {

/// The way there and back costs each pass its part of it.
step_time with_transit(const step_time& pass, double took_us, double all_us) {
  if (pass.n_rows == 0 || !(took_us > 0))
    return pass;
  const double n_passes = std::max(1.0, std::round(took_us / pass.us));
  return {pass.n_rows, pass.us + std::max(0.0, all_us - took_us) / n_passes};
}

} // namespace

void remote_drafting::joined(std::vector<step_time> passes) {
  left();
  is_there_ = true;
  passes_ = std::move(passes);
}

bool remote_drafting::left() {
  const bool was_awaited = awaits_answer();
  is_there_ = false;
  ended_.clear();
  open_ = nullptr;
  n_read_.clear();
  news_.clear();
  return was_awaited;
}

std::optional<draft_order> remote_drafting::order_for(const draft_demand_ptr& demand) {
  if (!is_there_)
    return std::nullopt;
  std::ranges::copy(demand->ended, std::back_inserter(ended_));
  // What it takes has to be known before it is asked, and may not be lost with a late answer.
  if (open_ || !passes_.empty())
    return std::nullopt;
  for (const auto& ending : ended_)
    n_read_.erase(ending.id);
  is_reading_ = !demand->wishes.empty() && std::ranges::all_of(demand->wishes, [&](const draft_wish& wish) {
    return n_unread(wish) > model_drafter_options{}.n_catch_up_rows;
  });
  auto order = order_of({demand->wishes, std::exchange(ended_, {})});
  order.starts_over = std::exchange(starts_over_, false);
  open_ = demand;
  return order;
}

void remote_drafting::sent(std::uint64_t number, std::chrono::steady_clock::time_point now) {
  number_ = number;
  sent_at_ = now;
}

std::optional<draft_offer> remote_drafting::answered(const drafted_batch& batch,
                                                     std::chrono::steady_clock::time_point now) {
  if (!open_ || batch.number != number_)
    return std::nullopt;
  const bool was_awaited = awaits_answer();
  const auto demand = std::exchange(open_, nullptr);
  auto offer = offer_of(batch, *demand, vocabulary_size_).value_or(draft_offer{});
  note_reading(offer);
  if (!was_awaited) {
    for (auto& proposal : offer.proposals) {
      proposal.drafts.clear();
      // Had it nothing to read, it would seem to have drafted nothing when it was asked.
      proposal.n_behind = std::min(std::max(proposal.n_behind, 1), proposal.n_known);
      news_.push_back(std::move(proposal));
    }
    return std::nullopt;
  }
  offer.pass = with_transit(offer.pass, batch.took_us, us_between(sent_at_, now));
  return offer;
}

draft_offer remote_drafting::without_drafts() {
  draft_offer offer;
  offer.proposals = std::exchange(news_, {});
  offer.known_passes = std::exchange(passes_, {});
  return offer;
}

int remote_drafting::n_unread(const draft_wish& wish) const {
  const auto found = n_read_.find(wish.id);
  return wish.offset + static_cast<int>(wish.appended.size()) - (found == n_read_.end() ? 0 : found->second);
}

void remote_drafting::note_reading(const draft_offer& offer) {
  for (const auto& proposal : offer.proposals)
    n_read_[proposal.id] = proposal.n_known - proposal.n_behind;
}

} // namespace souffleur
