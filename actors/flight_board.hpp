// Requests for the very same thing that come while it is being answered share that answer (single-flight).
#pragma once

#include "actors/messages/admission.hpp"
#include "actors/messages/response_cache.hpp"
#include "actors/reply_handle.hpp"
#include "actors/serving_metrics.hpp"
#include "actors/shared_deadline.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace souffleur {

/// A request that streams a flight.
struct flight_reader {
  request_id id = 0;
  std::shared_ptr<reply_handle> reply;
  generation_accepted accepted; ///< what it is told first
  steady_time arrival;
  steady_time deadline;
  std::string tenant{};
};

/// Each reader gets the whole stream from its first token on, once and in order, whenever it came; the one
/// that came first may leave, the others go on. Lives outside the actors, so that streams outlast intake.
/// Thread-safe: the scheduler publishes while intake lets readers in and out.
class flight_board : public std::enable_shared_from_this<flight_board> {
public:
  /// What is to happen to the answer if the generation comes to its own end.
  using landing = std::function<void(cached_answer_ptr)>;
  struct boarding {
    request_id generation = 0; ///< of the flight; no client's request has such an id
    bool is_new = false;       ///< somebody has to answer it
  };
  struct departure {
    bool was_aboard = false;
    std::optional<request_id> deserted; ///< the generation, if nobody reads it any more
  };
  struct seclusion {
    bool was_aboard = false;
    std::optional<request_id> alone{}; ///< the generation, if nobody else reads it
  };

  explicit flight_board(std::shared_ptr<serving_metrics> metrics) : metrics_(std::move(metrics)) {}

  /// Joins the flight of that name unless it has been given up, or opens one. Who joins
  /// gives it no less time than his own.
  boarding board(const key_digest& name, flight_reader reader);
  /// Opens a flight that nobody joins.
  boarding board_alone(flight_reader reader);
  /// The one that has most time sets it, also later; whoever answers the flight gives it up when it is over.
  /// Nothing: nobody reads that, or it has ended.
  std::optional<shared_deadline> deadline_of(request_id generation) const;
  void on_landing(request_id generation, landing then);
  /// For whoever answers the flight. If it is dropped without an end, all readers are told that.
  std::shared_ptr<reply_handle> reply_to(request_id generation);

  departure leave(request_id reader);
  /// If it is the only reader: nobody joins it any more, and its answer is not kept.
  seclusion take_for_itself(request_id reader);
  /// Ends the streams of readers whose time ran out before their flight's. Returns deserted generations.
  std::vector<request_id> expire(steady_time now);
  bool empty() const;

private:
  struct reader_state {
    flight_reader who;
    bool is_first = false;
    std::optional<steady_time> first_token_at{};
  };
  struct flight {
    std::optional<key_digest> name; ///< under which it can be joined
    shared_deadline deadline;
    std::vector<reader_state> readers;
    generation_delta so_far;
    landing then;
    bool is_secluded = false;
  };
  using flights = std::unordered_map<request_id, flight>;

  boarding open(std::optional<key_digest> name, flight_reader reader);
  /// Nobody joins it any more.
  void close(flight& to);
  static void admit(flight& to, flight_reader reader);
  void publish(request_id generation, generation_event event);
  static void send(flight& to, const generation_delta& delta);
  void land(request_id generation, flight& ended, const generation_finished& end);
  void report(request_id generation, const reader_state& reader, const generation_finished& end) const;
  void remove(flights::iterator ended);

  mutable std::mutex mutex_;
  std::shared_ptr<serving_metrics> metrics_;
  flights flights_; ///< by generation; none is without a reader
  std::unordered_map<key_digest, request_id, key_digest_hash> by_name_;
  std::unordered_map<request_id, request_id> by_reader_;
};

} // namespace souffleur
