#include "actors/behaviors.hpp"

#include <random>
#include <utility>

namespace souffleur {

namespace {

constexpr std::chrono::milliseconds deadline_resolution{50};

std::uint64_t fresh_seed() {
  thread_local std::random_device device;
  // A JSON number keeps 53 bits.
  return ((static_cast<std::uint64_t>(device()) << 32) | device()) >> 11;
}

using self_pointer = intake_actor::stateful_pointer<intake_state>;
using mutable_admission = std::shared_ptr<admitted_request>;

/// What a request asked for its flight, beside what decides the answer: only equal wishes share one.
key_digest flight_name(const admitted_request& request) {
  const auto& terms = *request.cached;
  key_encoder name;
  name.add(terms.key.exact);
  name.add(std::int64_t{terms.permit.semantic});
  name.add(terms.permit.threshold);
  name.add(terms.permit.max_error);
  name.add(terms.replay_tokens_per_s);
  name.add(std::int64_t{request.trace});
  return name.digest();
}

/// The answer goes to the cache as it stands now: if that dies first, the answer is lost to it.
flight_board::landing store_with(const cache_actor& cache, cache_terms_ptr terms, cache_finding_ptr found) {
  return [cache, terms = std::move(terms), found = std::move(found)](cached_answer_ptr answer) {
    compat::anon_send(cache, cache_insertion_ptr{std::make_shared<const cache_insertion>(
                                 cache_insertion{terms, std::move(answer), found})});
  };
}

void generate(self_pointer self, const mutable_admission& request, const cache_finding_ptr& found) {
  auto& state = compat::state_of(self);
  if (may_store(request->cached->permit, answer_end::stop))
    state.flights->on_landing(request->id, store_with(state.to.cache, request->cached, found));
  request->deadline = state.flights->deadline_of(request->id).value_or(request->deadline);
  if (found) {
    request->similarity = found->similarity;
    if (found->answer && request->prediction.empty())
      for (const auto& piece : found->answer->pieces)
        request->prediction.push_back(piece.id);
  }
  compat::anon_send(state.to.scheduler, admission_ptr{request});
  if (const auto amended = state.amended.extract(request->id); !amended.empty())
    compat::anon_send(state.to.scheduler, amended.mapped());
}

void replay_more(self_pointer self, const stored_replay_ptr& replay) {
  const auto now = compat::now(self);
  auto until = compat::state_of(self).flights->deadline_of(replay->generation);
  if (!until) // nobody reads it any more
    return;
  auto delta = replay->stream.take(now);
  replay->end.usage.n_output_tokens += static_cast<int>(delta.tokens.size());
  if (!delta.tokens.empty() || !delta.tail.empty())
    replay->reply->delta(std::move(delta));
  if (replay->stream.done()) {
    replay->end.usage.n_output_tokens = replay->n_tokens;
    replay->reply->finish(replay->end);
  } else if (until->give_up(now)) {
    replay->end.reason = finish_reason::deadline;
    replay->end.stop_string.clear();
    replay->reply->finish(replay->end);
  } else {
    self->delayed_send(self, replay->stream.next() - now, replay);
  }
}

void replay(self_pointer self, const admitted_request& request, const cache_finding& found) {
  const auto start = compat::now(self);
  auto made = std::make_shared<stored_replay>(
      stored_replay{request.id,
                    request.reply,
                    cache_replay{found.answer, request.cached->replay_tokens_per_s, start},
                    {finish_reason::stop, found.answer->stop_string, {}},
                    found.answer->n_tokens});
  auto& usage = made->end.usage;
  usage.n_prompt_tokens = static_cast<int>(request.prompt.size());
  usage.source = found.source;
  usage.similarity = found.similarity;
  replay_more(self, made);
}

/// The response cache has answered, or will not: null.
void looked_up(self_pointer self, request_id generation, const cache_finding_ptr& found) {
  auto& state = compat::state_of(self);
  const auto waiting = state.looked_up.extract(generation);
  if (waiting.empty()) // deserted meanwhile
    return;
  const auto& request = waiting.mapped();
  request->looked_up = compat::now(self);
  const bool is_answer = found && found->source != answer_source::model;
  if (is_answer && !state.amended.contains(generation))
    replay(self, *request, *found);
  else
    generate(self, request, found);
}

void look_up(self_pointer self, const mutable_admission& request) {
  auto& state = compat::state_of(self);
  const auto id = request->id;
  state.looked_up.emplace(id, request);
  compat::request(self, state.to.cache, state.config.cache_lookup_budget, cache_lookup{request->cached})
      .then([self, id](const cache_finding_ptr& found) { looked_up(self, id, found); },
            [self, id](const caf::error& why) {
              if (compat::is_timeout(why))
                compat::anon_send(compat::state_of(self).supervisor, suspicion{"response_cache"});
              looked_up(self, id, nullptr);
            });
}

/// Only what nobody else reads can change: then it is no longer the answer that its name promises.
void amend(intake_state& state, const amendment& wanted) {
  const auto generation = state.flights->take_for_itself(wanted.id);
  if (generation.was_aboard && !generation.alone)
    return;
  const amendment amended{generation.alone.value_or(wanted.id), wanted.change};
  if (state.looked_up.contains(amended.id))
    state.amended[amended.id] = amended;
  else
    compat::anon_send(state.to.scheduler, amended);
}

void desert(intake_state& state, request_id generation) {
  state.amended.erase(generation);
  if (const auto waiting = state.looked_up.extract(generation); waiting.empty())
    compat::anon_send(state.to.scheduler, cancellation{generation});
}

void watch_deadlines(self_pointer self) {
  auto& state = compat::state_of(self);
  if (!state.flights->empty() && !std::exchange(state.watches_deadlines, true))
    self->delayed_send(self, deadline_resolution, deadline_check{});
}

void board(self_pointer self, const mutable_admission& request) {
  auto& state = compat::state_of(self);
  const bool shares = request->cached->permit.reads;
  flight_reader reader{request->id,
                       request->reply,
                       {static_cast<int>(request->prompt.size()), request->sampling->seed},
                       request->arrival,
                       request->deadline.at(),
                       request->tenant};
  const auto boarded = shares ? state.flights->board(flight_name(*request), std::move(reader))
                              : state.flights->board_alone(std::move(reader));
  watch_deadlines(self);
  if (!boarded.is_new)
    return;
  request->id = boarded.generation;
  request->reply = state.flights->reply_to(boarded.generation);
  if (shares)
    look_up(self, request);
  else
    generate(self, request, nullptr);
}

void schedule(const intake_state& state, const mutable_admission& request) {
  request->reply->accepted({static_cast<int>(request->prompt.size()), request->sampling->seed});
  compat::anon_send(state.to.scheduler, admission_ptr{request});
}

void submit(self_pointer self, const submission& arrived) {
  auto& state = compat::state_of(self);
  const auto now = compat::now(self);
  auto prepared = prepare(*arrived.request, state.format, state.config, fresh_seed());
  if (auto* failed = std::get_if<generation_failed>(&prepared)) {
    arrived.reply->fail(std::move(*failed));
    return;
  }
  auto request = std::make_shared<admitted_request>(std::move(std::get<admitted_request>(prepared)));
  const auto wanted =
      arrived.request->timeout.count() > 0 ? arrived.request->timeout : state.config.request_timeout;
  request->arrival = now;
  request->prepared = compat::now(self);
  request->deadline = now + std::min(wanted, state.config.request_timeout);
  request->reply = arrived.reply;
  if (request->cached)
    board(self, request);
  else
    schedule(state, request);
}

} // namespace

intake_actor::behavior_type intake(self_pointer self, prompt_format format, const serving_config& config,
                                   std::shared_ptr<flight_board> flights, const part_observer& supervisor) {
  auto& state = compat::state_of(self);
  state.format = std::move(format);
  state.config = config;
  state.flights = std::move(flights);
  state.supervisor = supervisor;
  return {
      [self](const submission& arrived) { submit(self, arrived); },
      [self](const cancellation& cancelled) {
        auto& state = compat::state_of(self);
        const auto left = state.flights->leave(cancelled.id);
        if (left.deserted)
          desert(state, *left.deserted);
        if (!left.was_aboard) // behind the admission, if that is under way to the scheduler
          compat::anon_send(state.to.scheduler, cancelled);
      },
      [self](const amendment& wanted) { amend(compat::state_of(self), wanted); },
      [self](const stored_replay_ptr& replay) { replay_more(self, replay); },
      [self](deadline_check) {
        auto& state = compat::state_of(self);
        for (const auto generation : state.flights->expire(compat::now(self)))
          desert(state, generation);
        state.watches_deadlines = false;
        watch_deadlines(self);
      },
      [self](const intake_peers& to) {
        compat::state_of(self).to = to;
        watch_deadlines(self); // it may have been restarted
      },
  };
}

} // namespace souffleur
