// Which worker makes which stream, and what clients have got of it: the dispatcher without its mailbox.
#pragma once

#include "actors/cluster/cluster_config.hpp"
#include "actors/cluster/worker_network.hpp"
#include "actors/messages/admission.hpp"
#include "actors/messages/report.hpp"
#include "engine/tokenizer.hpp"
#include "policies/prefill_policy.hpp"
#include "policies/prefix_directory.hpp"
#include "policies/routing_policy.hpp"

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace souffleur {

/// Takes a scheduler's place in a router. Its streams are the journal of what runs: prompt, parameters, seed
/// and every token that the client has got. A worker keeps nothing that is not made again from it, so when
/// one is gone, another is given its streams, and each goes on with the token after its last one.
///
/// A stream at a worker that serves decode may have another worker compute its prompt first. Then its attempt
/// is at both: pages go from the one to the other, and the stream is ordered when all have, or when anything
/// is wrong with that: what did not arrive is computed where the stream is.
///
/// Invariants: every admitted request ends exactly once through its reply handle; an attempt is at one
/// worker, and what comes of an attempt that has ended is ignored; what is delivered follows on what was.
class dispatch_core {
public:
  /// `policy` null: the one that the configuration names.
  dispatch_core(const cluster_config& config, std::shared_ptr<const tokenizer> vocabulary,
                std::unique_ptr<routing_policy> policy = nullptr);

  void admit(const admitted_request& request, steady_time now);
  void cancel(request_id id, steady_time now);
  void amend(request_id id, const generation_change& change, steady_time now);
  /// Ends what is past its deadline, and what has waited too long for a worker. Workers are told of deadlines
  /// that were postponed.
  void expire(steady_time now);
  /// Pages in `news` are passed on.
  void take(const worker_news& news, steady_time now);

  /// What is to be sent, in this order.
  std::vector<std::pair<worker_id, router_message>> take_orders() { return std::exchange(orders_, {}); }
  std::vector<request_report> take_reports() { return std::exchange(reports_, {}); }

  bool empty() const { return streams_.empty(); }
  int n_streams() const { return static_cast<int>(streams_.size()); }
  int n_unplaced() const;
  int n_workers() const { return static_cast<int>(workers_.size()); }
  std::uint64_t n_replays() const { return n_replays_; }
  prefill_counts take_prefill_counts() { return std::exchange(prefills_, {}); }
  /// Empty if all invariants hold; else what is broken.
  std::string check_integrity() const;

private:
  struct stream {
    explicit stream(const admitted_request& asked) : request(asked) {}

    admitted_request request;
    std::vector<page_hash> pages; ///< of its prompt
    std::vector<token_id> delivered;
    std::optional<generation_delta> held; ///< its last tokens, until it is known that nothing follows
    std::optional<generation_change> change;
    attempt_id attempt = 0;  ///< 0: it waits for a worker
    worker_id worker = 0;    ///< of the attempt
    worker_id prefiller = 0; ///< that computes the prompt for `worker`; 0: nobody does, the stream is ordered
    steady_time prefill_until{};    ///< the prefiller has to be heard of
    bool is_prefilled_here = false; ///< after another worker failed to
    int n_shipped_pages = 0;        ///< that arrived in this attempt
    int n_waiting_tokens = 0;       ///< what whoever computes now has to before the next token, estimated
    int n_fruitless = 0;            ///< attempts in a row that ended without a token
    steady_time unplaced_since{};
    steady_time told_deadline{}; ///< that its worker knows
    generation_usage usage;      ///< summed over its attempts
    std::optional<steady_time> placed_at;
    std::optional<steady_time> first_token_at;
  };
  struct worker {
    worker_profile profile;
    bool is_draining = false;
    int n_streams = 0;
    int n_waiting_tokens = 0; ///< of all its streams
    int n_credits_due = 0;
  };
  using streams = std::map<request_id, stream>; ///< in the order of arrival, near enough

  void place(stream& who, steady_time now);
  void place_all(steady_time now);
  std::optional<worker_id> choose_for(const stream& who) const;
  std::optional<worker_id> choose_prefiller_for(const stream& who) const;
  bool anybody_decodes() const;
  int n_held_tokens(worker_id worker, const std::vector<page_hash>& pages) const;
  void begin_prefill(stream& who, worker_id prefiller, steady_time now);
  /// The prompt's pages are there as far as they will be.
  void begin_decoding(stream& who, steady_time now);
  void give_up_prefill(stream& who, const std::string& why, steady_time now);
  void expect_tokens(stream& who, int n_tokens);
  void pass_on(worker_id from, const shipped_page& page, steady_time now);
  void note_receipt(worker_id at, const page_receipt& receipt, steady_time now);
  void prefilled(worker_id by, const prefill_ended& ended, steady_time now);
  /// Null: no attempt under way has that name.
  stream* stream_of(attempt_id attempt);
  /// The attempt is over, whatever the worker thinks.
  void leave_worker(stream& who);
  void lose_attempt(stream& who, steady_time now);
  void joined(worker_id id, const worker_joined& news, steady_time now);
  void left(worker_id id, steady_time now);
  void progressed(worker_id id, const step_batch& batch, steady_time now);
  void status(worker_id id, const worker_status& now_is, steady_time now);
  /// Returns false if the stream ended.
  void apply(stream& who, const stream_progress& progress, steady_time now);
  void deliver(stream& who, generation_delta delta, steady_time now);
  void finish(request_id id, const generation_finished& end, steady_time now);
  void end(request_id id, finish_reason reason, steady_time now);
  void fail(request_id id, generation_failed why, steady_time now);
  void retire(const stream& who, const std::string& outcome, steady_time now);
  void send(worker_id to, router_message message) { orders_.emplace_back(to, std::move(message)); }

  cluster_config config_;
  std::shared_ptr<const tokenizer> vocabulary_;
  std::unique_ptr<routing_policy> policy_;
  prefix_directory prefixes_;
  std::map<worker_id, worker> workers_;
  streams streams_;
  std::unordered_map<attempt_id, request_id> attempts_; ///< those under way
  attempt_id n_attempts_ = 0;
  std::uint64_t n_replays_ = 0;
  prefill_counts prefills_;
  std::vector<std::pair<worker_id, router_message>> orders_;
  std::vector<request_report> reports_;
};

} // namespace souffleur
