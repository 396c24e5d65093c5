// What every connection shares with its server, and how generation events reach a connection's coroutine.
#pragma once

#include "actors/messages/generation.hpp"
#include "net/client_stream.hpp"
#include "net/connection_counts.hpp"
#include "net/server.hpp"
#include "net/stream_parking.hpp"
#include "net/write_log.hpp"
#include "policies/tenant_limits.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace souffleur {

namespace asio = boost::asio;
namespace beast = boost::beast;

/// For `co_await`: the outcome goes into `error` instead of an exception.
inline auto result_in(boost::system::error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

/// A connection, or a part of one, that has to hear when the server stops.
class stop_listener {
public:
  virtual void on_stop() = 0;
  /// The time for an orderly end is over.
  virtual void on_stop_overdue() {}

protected:
  ~stop_listener() = default;
};

/// The first of the ids of one more server; each has 2^40, so that no two servers of a process share one.
request_id first_request_id();

/// Lives as long as the last connection or generation that may still report. All but `io` belongs to the I/O
/// thread.
struct server_context {
  server_context(const server_options& chosen, generation_service& behind, embedding_service* beside,
                 const observation_service* onlooker, fault_service* killer)
      : options(chosen), access(chosen.access), service(behind), embedding(beside), observation(onlooker),
        faults(killer), parking(*this) {}

  asio::io_context io{1};
  const server_options options;
  server_access access; ///< may change while the server runs
  generation_service& service;
  embedding_service* embedding;           ///< null: there is none
  const observation_service* observation; ///< likewise
  fault_service* faults;                  ///< likewise
  write_log writes;
  std::shared_ptr<const kv_summary> kv_seen; ///< see look_at_kv(); null: nothing is known
  steady_time kv_asked_at{};
  request_id next_request = first_request_id();
  limit_ledger ledger; ///< of what tenants asked for
  int n_connections = 0;
  connection_counts connections_by_address;
  bool stopping = false;
  std::set<stop_listener*> stop_listeners;
  stream_parking parking;
};

using context_ptr = std::shared_ptr<server_context>;

/// Nothing if the tenant may ask; else what it is told.
std::optional<generation_failed> admit(server_context& context, const std::string& tenant);
void charge(server_context& context, const std::string& tenant, int n_tokens);
/// Gives the request its id and hands it to the service, if its tenant may ask; what it takes is charged to
/// the tenant. `to` is called on the I/O thread, later.
request_id submit(const context_ptr& context, generation_request request,
                  std::function<void(request_id, generation_event)> to);
/// For OpenAI's x-ratelimit headers: names and values. Empty if the tenant has no limits.
std::vector<std::pair<std::string, std::string>> limit_fields(const server_context& context,
                                                              const std::string& tenant);

/// Asks for a new summary of the KV memory, for all who watch, unless the last one is young; it comes later.
void look_at_kv(const context_ptr& context);

/// Wakes a coroutine of the I/O thread; so does the end of the server.
class io_signal final : public stop_listener {
public:
  explicit io_signal(context_ptr context);
  ~io_signal();
  io_signal(const io_signal&) = delete;
  io_signal& operator=(const io_signal&) = delete;

  /// Returns after wake(), or when the server stops, or then.
  asio::awaitable<void> wait(asio::steady_timer::time_point until = asio::steady_timer::time_point::max());
  void wake();
  void on_stop() override { wake(); }

private:
  context_ptr context_;
  asio::steady_timer timer_;
  bool woken_ = false;
};

/// Events of a connection's generations, in the order in which they were made, and the news about the
/// connection itself. Generations that have not ended when the mailbox goes are cancelled: a client that left
/// costs no more steps.
class event_mailbox final : public std::enable_shared_from_this<event_mailbox> {
public:
  struct delivery {
    request_id from = 0;
    generation_event event;
  };

  explicit event_mailbox(context_ptr context);
  ~event_mailbox();
  event_mailbox(const event_mailbox&) = delete;
  event_mailbox& operator=(const event_mailbox&) = delete;

  /// Gives the request its id and hands it to the service; its events come here.
  request_id submit(generation_request request);
  void cancel(request_id id);
  void cancel_all();

  /// Returns once there are events, or after wake(), or when the server stops.
  asio::awaitable<void> wait() { return signal_.wait(); }
  std::vector<delivery> take();
  void wake() { signal_.wake(); }

  /// The connection has its answer, and may go before the mailbox does: cancels what still runs and calls
  /// nobody any more.
  void retire();
  bool retired() const { return retired_; }

  bool peer_gone = false;
  /// Called when more tokens wait here than a connection may hold.
  std::function<void()> on_overflow;

private:
  void deliver(request_id from, generation_event event);

  context_ptr context_;
  io_signal signal_;
  bool retired_ = false;
  std::vector<delivery> waiting_;
  std::size_t n_waiting_tokens_ = 0;
  std::set<request_id> live_;
};

/// Serves HTTP on a fresh connection until it ends or becomes a WebSocket, and then that.
asio::awaitable<void> serve_http(client_stream stream, context_ptr context);

} // namespace souffleur
