#include "examples/load/load_run.hpp"

#include "examples/load/connection_pool.hpp"
#include "examples/load/seeded_random.hpp"
#include "examples/load/task_group.hpp"

#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <limits>

namespace souffleur::load {

namespace {

namespace asio = boost::asio;
using asio::awaitable;

constexpr std::uint64_t warm_up_dialogues = std::uint64_t{1} << 30; ///< their numbers begin here
/// So long before its time a request gets its text and its connection.
constexpr std::int64_t preparation_ns = 100'000'000;
constexpr std::uint64_t probe_dialogues = std::uint64_t{1} << 31;

/// Hands out dialogues until there are enough.
class dialogue_source {
public:
  struct numbered {
    std::uint64_t number = 0;
    dialogue what;
  };

  dialogue_source(const workload& what, std::uint64_t first, int n_requests)
      : what_(what), next_(first), left_(n_requests), bounded_(n_requests > 0) {}

  std::optional<numbered> next() {
    if (bounded_ && left_ <= 0)
      return std::nullopt;
    numbered made{next_, what_.at(next_)};
    ++next_;
    left_ -= static_cast<int>(made.what.turns.size());
    return made;
  }

private:
  const workload& what_;
  std::uint64_t next_;
  int left_;
  bool bounded_;
};

/// At most so many at a time; the others wait in the order of their coming.
class turnstile {
public:
  turnstile(asio::any_io_executor executor, int most) : executor_(executor), most_(most) {}

  awaitable<void> enter() {
    if (most_ > 0 && n_inside_ >= most_) {
      asio::steady_timer turn{executor_, time_point::max()};
      waiting_.push_back(&turn);
      boost::system::error_code called;
      co_await turn.async_wait(asio::redirect_error(asio::use_awaitable, called));
      co_return; // whoever left has given its place to us
    }
    ++n_inside_;
  }
  void leave() {
    if (waiting_.empty()) {
      --n_inside_;
      return;
    }
    waiting_.front()->cancel();
    waiting_.pop_front();
  }

private:
  asio::any_io_executor executor_;
  int most_;
  int n_inside_ = 0;
  std::deque<asio::steady_timer*> waiting_;
};

class load_run {
public:
  load_run(asio::io_context& io, target& where, const workload& what, const load_settings& how,
           live_counts& live, const bool& stopping)
      : executor_(io.get_executor()), pacer_(io), what_(what), how_(how), live_(live), stopping_(stopping),
        pool_(where, how.new_connections), turnstile_(executor_, how.max_in_flight) {}

  awaitable<void> run() {
    if (how_.n_warm_up > 0)
      co_await warm_up();
    clock_ = run_clock{};
    dialogue_source source{what_, first_dialogue(), how_.n_requests};
    task_group probes{executor_};
    if (how_.probe_rate > 0)
      probes.spawn(send_probes());
    if (how_.arrivals)
      co_await open_loop(source);
    else
      co_await closed_loop(source, how_.n_clients, request_role::measured);
    load_over_ = true;
    co_await probes.join();
  }

  bool serve_one() { return pacer_.run_one(); }

  load_outcome outcome() {
    load_outcome all;
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    std::int64_t last = 0;
    for (const auto& record : records_)
      if (record.role == request_role::measured) {
        first = std::min(first, record.intended_ns);
        last = std::max(last, record.ended_ns);
      }
    all.duration_ns = std::max<std::int64_t>(0, last - first);
    all.records = std::move(records_);
    return all;
  }

private:
  std::uint64_t first_dialogue() const { return how_.load << 32; }
  bool begins_more() const {
    return !stopping_ && (how_.duration_s <= 0 || clock_.now_ns() < ns_of_seconds(how_.duration_s));
  }

  /// Until what is to be sent at a time can be prepared. Those that may have to queue are not prepared early:
  /// they would keep connections from those before them.
  awaitable<void> wait_to_prepare(std::int64_t intended_ns) {
    co_await pacer_.until(clock_.at(how_.max_in_flight > 0 ? intended_ns : intended_ns - preparation_ns));
  }

  awaitable<void> warm_up() {
    dialogue_source source{what_, first_dialogue() + warm_up_dialogues, how_.n_warm_up};
    co_await closed_loop(source, how_.arrivals ? 4 : how_.n_clients, request_role::warm_up);
  }

  awaitable<void> closed_loop(dialogue_source& source, int n_clients, request_role role) {
    task_group clients{executor_};
    for (int i = 0; i < n_clients; ++i)
      clients.spawn(client(source, role));
    co_await clients.join();
  }

  awaitable<void> client(dialogue_source& source, request_role role) {
    while (role == request_role::warm_up ? !stopping_ : begins_more()) {
      auto next = source.next();
      if (!next)
        break;
      co_await hold(std::move(*next), role, clock_.now_ns());
    }
  }

  awaitable<void> open_loop(dialogue_source& source) {
    task_group dialogues{executor_};
    const auto arrivals = how_.arrivals();
    while (begins_more()) {
      const auto arrival = arrivals->next();
      if (!arrival || (how_.duration_s > 0 && *arrival >= how_.duration_s))
        break;
      auto next = source.next();
      if (!next)
        break;
      const auto intended = ns_of_seconds(*arrival);
      co_await wait_to_prepare(intended);
      dialogues.spawn(hold(std::move(*next), request_role::measured, intended));
    }
    co_await dialogues.join();
  }

  /// A dialogue from its first turns to its last.
  awaitable<void> hold(dialogue_source::numbered held, request_role role, std::int64_t intended) {
    std::vector<message> said;
    if (!held.what.system.empty())
      said.push_back({"system", held.what.system});
    task_group branches{executor_};
    co_await go_on(held, -1, std::move(said), role, intended, branches);
    co_await branches.join();
  }

  /// The turns that follow turn `after`: the first here, the others beside it.
  awaitable<void> go_on(const dialogue_source::numbered& held, int after, std::vector<message> said,
                        request_role role, std::int64_t intended, task_group& branches) {
    int first = -1;
    for (int i = 0; i < static_cast<int>(held.what.turns.size()); ++i) {
      if (held.what.turns[static_cast<std::size_t>(i)].after != after)
        continue;
      if (first < 0)
        first = i;
      else
        branches.spawn(take_turn(held, i, said, role, intended, branches));
    }
    if (first >= 0)
      co_await take_turn(held, first, std::move(said), role, intended, branches);
  }

  awaitable<void> take_turn(const dialogue_source::numbered& held, int i, std::vector<message> said,
                            request_role role, std::int64_t intended, task_group& branches) {
    const auto& turn = held.what.turns[static_cast<std::size_t>(i)];
    intended += ns_of_seconds(turn.think_s);
    co_await wait_to_prepare(intended);
    said.push_back({"user", turn.user});
    auto& record = records_.emplace_back();
    record.role = role;
    record.dialogue = held.number;
    record.turn = i;
    record.intended_ns = intended;
    seeded_random random{how_.seed, (held.number << 8) ^ static_cast<std::uint64_t>(i)};
    question asked;
    asked.messages = said;
    asked.max_tokens = how_.max_tokens;
    asked.send_at = clock_.at(intended);
    asked.seed = random.next();
    if (random.uniform() < how_.cancel_share)
      asked.cancel_after = how_.cancel_after;
    co_await turnstile_.enter();
    co_await ask(std::move(asked), record);
    turnstile_.leave();
    if (record.outcome != request_outcome::completed)
      co_return;
    said.push_back({"assistant", record.text});
    co_await go_on(held, i, std::move(said), role, record.ended_ns, branches);
  }

  /// A connection that was used before may have been closed by the server meanwhile: then a new one is tried.
  awaitable<void> ask(question asked, request_record& record) {
    ++live_.n_in_flight;
    bool over = false;
    if (auto used = pool_.idle())
      over = co_await ask_over(std::move(used), asked, record);
    if (!over)
      co_await ask_over(nullptr, asked, record);
    --live_.n_in_flight;
    ++live_.n_ended;
    live_.n_failed += record.outcome == request_outcome::failed ? 1 : 0;
  }

  /// Null: over a new connection. False if it broke before anything of the answer came.
  awaitable<bool> ask_over(std::unique_ptr<connection> over, const question& asked, request_record& record) {
    answer_log log{record, clock_, live_};
    try {
      if (!over)
        over = co_await pool_.fresh();
      co_await over->ask(asked, pacer_, log);
      pool_.give_back(std::move(over));
    } catch (const boost::system::system_error& error) {
      log.end(request_outcome::failed, error.code().message());
      co_return log.n_outputs() > 0;
    }
    co_return true;
  }

  awaitable<void> send_probes() {
    seeded_random random{how_.seed, ~how_.load};
    double at_s = 0;
    task_group probes{executor_};
    for (std::uint64_t n = 0; !load_over_ && !stopping_; ++n) {
      at_s += random.exponential(1 / how_.probe_rate);
      const auto intended = ns_of_seconds(at_s);
      while (!load_over_ && clock_.now_ns() < intended - preparation_ns)
        co_await pacer_.until(clock_.at(std::min(intended - preparation_ns, clock_.now_ns() + 100'000'000)));
      if (load_over_)
        break;
      probes.spawn(probe(first_dialogue() + probe_dialogues + n, intended));
    }
    co_await probes.join();
  }

  awaitable<void> probe(std::uint64_t number, std::int64_t intended) {
    auto& record = records_.emplace_back();
    record.role = request_role::probe;
    record.dialogue = number;
    record.intended_ns = intended;
    question asked;
    asked.messages.push_back({"user", "Say yes. (" + std::to_string(number % 100'000) + ")"});
    asked.max_tokens = 1;
    asked.send_at = clock_.at(intended);
    co_await ask(std::move(asked), record);
  }

  asio::any_io_executor executor_;
  pacer pacer_;
  const workload& what_;
  const load_settings& how_;
  live_counts& live_;
  const bool& stopping_;
  connection_pool pool_;
  turnstile turnstile_;
  run_clock clock_;
  std::deque<request_record> records_;
  bool load_over_ = false;
};

} // namespace

load_outcome run_load(asio::io_context& io, target& where, const workload& what, const load_settings& how,
                      live_counts& live, const bool& stopping) {
  load_run run{io, where, what, how, live, stopping};
  std::exception_ptr failed;
  bool over = false;
  asio::co_spawn(io, run.run(), [&](std::exception_ptr error) {
    failed = error;
    over = true;
  });
  io.restart();
  while (!over && run.serve_one()) {
  }
  if (failed)
    std::rethrow_exception(failed);
  return run.outcome();
}

} // namespace souffleur::load
