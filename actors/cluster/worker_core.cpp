#include "actors/cluster/worker_core.hpp"

#include "actors/cluster/routed_request.hpp"
#include "engine/kv/arriving_pages.hpp"
#include "engine/kv/prefix_journal.hpp"

#include <algorithm>
#include <iterator>

namespace souffleur {

namespace {

/// Tells the router's streams from those of the worker's own clients.
constexpr request_id routed_bit = request_id{1} << 62;

/// Of a prompt's pages that are under way.
constexpr std::size_t shipment_window_bytes = std::size_t{8} << 20;

constexpr const char* keeps_no_prefixes = "it keeps no prefixes (kv.prefix_cache)";

std::string text_of(const page_name& name) {
  return {reinterpret_cast<const char*>(name.bytes.data()), name.bytes.size()};
}

page_name name_from(const std::string& text) {
  page_name name;
  std::copy_n(text.begin(), std::min(text.size(), name.bytes.size()), name.bytes.begin());
  return name;
}

} // namespace

worker_core::worker_core(const cluster_config& config, const prompt_format& format, page_exchange pages,
                         worker_host& host)
    : config_(config), format_(format), pages_(std::move(pages)), host_(host), held_(config.max_held_tokens) {
}

void worker_core::joined(int n_credits) {
  is_joined_ = true;
  n_credits_ = n_credits;
  if (pages_.journal)
    pages_.journal->start_over();
}

void worker_core::left() {
  is_joined_ = false;
  end_all();
  messages_.clear();
}

request_id worker_core::begin(attempt_id attempt) {
  const auto id = routed_bit | ++n_ids_;
  attempts_[id] = attempt;
  return id;
}

void worker_core::take(const stream_order& order, steady_time now) {
  if (streams_.contains(order.attempt))
    return;
  const auto id = begin(order.attempt);
  auto prepared = admitted_from(order, id, format_, now);
  if (auto* failed = std::get_if<generation_failed>(&prepared)) {
    attempts_.erase(id);
    forget_pages(order.attempt);
    held_.add(order.attempt, std::move(*failed));
    return;
  }
  auto& request = std::get<admitted_request>(prepared);
  streams_[order.attempt] = {id, request.deadline};
  host_.submit(std::move(request));
}

void worker_core::take(const prefill_order& order, steady_time now) {
  if (prefills_.contains(order.attempt))
    return;
  if (!pages_.arrivals)
    return send(prefill_ended{order.attempt, keeps_no_prefixes});
  page_shipment_options options;
  options.first_page = order.first_page;
  options.max_pages = std::max<std::size_t>(1, shipment_window_bytes / pages_.arrivals->page_bytes());
  options.patience = config_.dead_after;
  const int n_whole = (static_cast<int>(order.prompt.size()) - 1) / page_tokens;
  auto request = prefill_request(order, begin(order.attempt), now);
  request.ships_to = host_.shipment_for(order.attempt, options);
  prefills_[order.attempt] = {request.id, request.ships_to, n_whole - order.first_page};
  host_.submit(std::move(request));
}

void worker_core::take(const stream_cancel& cancelled, steady_time) {
  stop(cancelled.attempt);
  held_.drop(cancelled.attempt);
  drop_prefill(cancelled.attempt);
  forget_pages(cancelled.attempt);
}

void worker_core::take(const stream_change& changed, steady_time) {
  if (const auto found = streams_.find(changed.attempt); found != streams_.end())
    host_.change(found->second.id, changed.change);
}

void worker_core::take(const stream_postponement& later, steady_time now) {
  if (const auto found = streams_.find(later.attempt); found != streams_.end())
    found->second.deadline.postpone(now + std::chrono::milliseconds{later.time_left_ms});
}

void worker_core::take(const batch_credit& more, steady_time) {
  n_credits_ += more.n;
  if (more.n > 0)
    flush();
}

void worker_core::take(const shipped_page& page, steady_time) {
  const auto why = pages_.arrivals ? pages_.arrivals->arrive(page.attempt, name_from(page.format),
                                                             name_from(page.name), page.checksum, page.bytes)
                                   : keeps_no_prefixes;
  send(page_receipt{page.attempt, why.empty() ? 1 : 0, why});
}

void worker_core::take(const page_receipt& receipt, steady_time) {
  const auto found = prefills_.find(receipt.attempt);
  if (const auto shipment = found == prefills_.end() ? nullptr : found->second.shipment.lock())
    shipment->received(static_cast<std::size_t>(std::max(0, receipt.n_pages)));
}

void worker_core::happened(request_id id, generation_event event) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) // cancelled, or handed over
    return;
  const auto attempt = found->second;
  if (const auto prompt = prefills_.find(attempt); prompt != prefills_.end() && prompt->second.id == id)
    return prefill_happened(attempt, event);
  const bool is_last =
      std::holds_alternative<generation_finished>(event) || std::holds_alternative<generation_failed>(event);
  held_.add(attempt, std::move(event));
  if (is_last)
    forget(attempt);
  hand_over_beyond_bound();
}

void worker_core::hand_over_beyond_bound() {
  const auto most = held_.beyond_bound();
  if (!most)
    return;
  stop(*most);
  held_.hand_over(*most);
}

/// The end of the request is not that of its pages, unless something was wrong.
void worker_core::prefill_happened(attempt_id attempt, const generation_event& event) {
  if (const auto* failed = std::get_if<generation_failed>(&event))
    return end_prefill(attempt, failed->message);
  if (const auto* end = std::get_if<generation_finished>(&event);
      end != nullptr && end->reason != finish_reason::length && end->reason != finish_reason::stop)
    end_prefill(attempt, std::string{"it was "} + to_string(end->reason));
}

void worker_core::copied(attempt_id attempt, const named_page& page, const page_bytes_ptr& bytes) {
  const auto found = prefills_.find(attempt);
  if (found == prefills_.end())
    return;
  --found->second.n_pages;
  shipped_page shipped;
  shipped.attempt = attempt;
  shipped.format = text_of(pages_.arrivals->format_name());
  shipped.name = text_of(page.name);
  shipped.bytes.assign(reinterpret_cast<const char*>(bytes.get()), pages_.arrivals->page_bytes());
  shipped.checksum = arriving_pages::checksum_of(shipped.bytes);
  send(std::move(shipped));
}

void worker_core::shipment_over(attempt_id attempt) {
  if (const auto found = prefills_.find(attempt); found != prefills_.end())
    end_prefill(attempt, found->second.n_pages <= 0 ? "" : "not all pages could be shipped");
}

void worker_core::hand_over_all() {
  if (!is_joined_)
    return;
  // What was made goes before; whoever goes on does so behind it.
  auto batch = held_.take();
  while (!streams_.empty()) {
    const auto attempt = streams_.begin()->first;
    stop(attempt);
    held_.hand_over(attempt);
  }
  auto endings = held_.take();
  std::ranges::move(endings.streams, std::back_inserter(batch.streams));
  while (!prefills_.empty())
    end_prefill(prefills_.begin()->first, "it shuts down");
  send(std::move(batch));
}

void worker_core::flush() {
  if (held_.empty() || n_credits_ <= 0)
    return;
  --n_credits_;
  send(held_.take());
}

void worker_core::report_status() {
  if (!is_joined_)
    return;
  worker_status status;
  status.n_running = static_cast<int>(streams_.size());
  status.is_draining = is_draining_;
  if (pages_.journal) {
    auto changes = pages_.journal->take(max_told_pages);
    status.added = std::move(changes.added);
    status.removed = std::move(changes.removed);
  }
  send(std::move(status));
}

void worker_core::end_all() {
  for (const auto& [attempt, one] : streams_)
    host_.cancel(one.id);
  end_prefills();
  if (pages_.arrivals)
    pages_.arrivals->forget_all();
  streams_.clear();
  attempts_.clear();
  held_.clear();
}

void worker_core::end_prefills() {
  while (!prefills_.empty())
    drop_prefill(prefills_.begin()->first);
}

void worker_core::drop_prefill(attempt_id attempt) {
  const auto ended = prefills_.extract(attempt);
  if (ended.empty())
    return;
  if (const auto shipment = ended.mapped().shipment.lock())
    shipment->close();
  host_.cancel(ended.mapped().id);
  attempts_.erase(ended.mapped().id);
}

void worker_core::end_prefill(attempt_id attempt, const std::string& why) {
  drop_prefill(attempt);
  send(prefill_ended{attempt, why});
}

void worker_core::stop(attempt_id attempt) {
  if (const auto found = streams_.find(attempt); found != streams_.end())
    host_.cancel(found->second.id);
  forget(attempt);
}

void worker_core::forget(attempt_id attempt) {
  const auto found = streams_.extract(attempt);
  if (found.empty())
    return;
  attempts_.erase(found.mapped().id);
  forget_pages(attempt);
}

void worker_core::forget_pages(attempt_id attempt) const {
  if (pages_.arrivals)
    pages_.arrivals->forget(attempt);
}

std::string worker_core::check_integrity() const {
  if (attempts_.size() != streams_.size() + prefills_.size())
    return "there are ids of attempts that are not under way";
  for (const auto& [id, attempt] : attempts_) {
    const auto stream = streams_.find(attempt);
    const auto prompt = prefills_.find(attempt);
    if (!(stream != streams_.end() && stream->second.id == id) &&
        !(prompt != prefills_.end() && prompt->second.id == id))
      return "an id is none of its attempt's";
  }
  if (held_.n_tokens() > config_.max_held_tokens)
    return "more tokens are held than may be";
  if (!is_joined_ && (n_streams() > 0 || !held_.empty()))
    return "there is work for a router that is away";
  return "";
}

} // namespace souffleur
