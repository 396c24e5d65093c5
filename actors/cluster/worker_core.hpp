// What a worker makes for its router: the worker's node without its mailbox and its connection.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/held_progress.hpp"
#include "actors/messages/admission.hpp"
#include "actors/serving_system.hpp"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace souffleur {

/// Where a worker's orders are carried out.
class worker_host {
public:
  virtual ~worker_host() = default;
  /// Without a reply: its events are told worker_core::happened().
  virtual void submit(admitted_request request) = 0;
  virtual void cancel(request_id id) = 0;
  virtual void change(request_id id, const generation_change& change) = 0;
  /// What it is given is told worker_core::copied(), and its end shipment_over().
  virtual page_shipment_ptr shipment_for(attempt_id attempt, const page_shipment_options& options) = 0;
};

/// Streams, and prompts that are computed for another worker, each under the name of the router's attempt at
/// it. Nothing of an attempt is sent behind its end, and nothing of one that was cancelled.
///
/// Invariants: progress is sent only for credits, but for what is handed over in the end; what waits for one
/// is bounded by max_held_tokens, beyond which a stream is handed back; whoever is away has no streams here.
class worker_core {
public:
  /// `format` and `host` must outlive it.
  worker_core(const cluster_config& config, const prompt_format& format, page_exchange pages,
              worker_host& host);
  ~worker_core() { end_prefills(); }
  worker_core(const worker_core&) = delete;
  worker_core& operator=(const worker_core&) = delete;

  /// The router takes this worker: orders may come, of which `n_credits` batches of progress may be sent.
  void joined(int n_credits);
  /// Whoever was the router has placed the streams elsewhere by now, or will.
  void left();

  /// One of router_message, from the router that takes this worker. An attempt that is under way is not begun
  /// again.
  void take(const stream_order& order, steady_time now);
  void take(const prefill_order& order, steady_time now);
  void take(const stream_cancel& cancelled, steady_time now);
  void take(const stream_change& changed, steady_time now);
  void take(const stream_postponement& later, steady_time now);
  void take(const batch_credit& more, steady_time now);
  void take(const orders_void&, steady_time) { end_all(); }
  void take(const shipped_page& page, steady_time now);
  void take(const page_receipt& receipt, steady_time now);

  /// To a request that was submitted; what happens to others is ignored.
  void happened(request_id id, generation_event event);
  /// A page of a prompt that is computed for another worker is ready to go there.
  void copied(attempt_id attempt, const named_page& page, const page_bytes_ptr& bytes);
  /// No more of them will be.
  void shipment_over(attempt_id attempt);

  /// Nothing new is wanted.
  void drain() { is_draining_ = true; }
  /// All that runs goes back to the router.
  void hand_over_all();
  bool holds_progress() const { return !held_.empty(); }
  /// Sends what is held if there is a credit.
  void flush();
  void report_status();

  /// What is to be sent, in this order; nothing but while the router takes this worker.
  std::vector<worker_message> take_messages() { return std::exchange(messages_, {}); }
  int n_streams() const { return static_cast<int>(streams_.size() + prefills_.size()); }
  /// Empty if all invariants hold; else what is broken.
  std::string check_integrity() const;

private:
  struct stream {
    request_id id = 0;
    shared_deadline deadline;
  };
  struct prefill {
    request_id id = 0;
    std::weak_ptr<page_shipment> shipment; ///< which belongs to those who copy pages
    int n_pages = 0;                       ///< still to come
  };

  void send(worker_message message) { messages_.push_back(std::move(message)); }
  request_id begin(attempt_id attempt);
  void end_all();
  void end_prefills();
  void drop_prefill(attempt_id attempt);
  void end_prefill(attempt_id attempt, const std::string& why);
  void prefill_happened(attempt_id attempt, const generation_event& event);
  /// Nothing more is made of the stream, if it is under way.
  void stop(attempt_id attempt);
  /// It is no stream of this worker any more.
  void forget(attempt_id attempt);
  void forget_pages(attempt_id attempt) const;
  void hand_over_beyond_bound();

  cluster_config config_;
  const prompt_format& format_;
  page_exchange pages_;
  worker_host& host_;
  bool is_joined_ = false;
  bool is_draining_ = false;
  request_id n_ids_ = 0;
  std::unordered_map<attempt_id, stream> streams_;
  std::map<attempt_id, prefill> prefills_;
  std::unordered_map<request_id, attempt_id> attempts_; ///< of both
  held_progress held_;
  int n_credits_ = 0;
  std::vector<worker_message> messages_;
};

} // namespace souffleur
