#include "actors/behaviors.hpp"

#include <random>

namespace souffleur {

namespace {

constexpr std::chrono::milliseconds cache_timeout{100};

std::uint64_t fresh_seed() {
  thread_local std::random_device device;
  // A JSON number keeps 53 bits.
  return ((static_cast<std::uint64_t>(device()) << 32) | device()) >> 11;
}

/// Returns the usage that the client was told.
generation_usage replay(const stored_answer& stored, const admitted_request& request) {
  request.reply->accepted({static_cast<int>(request.prompt.size()), request.sampling->seed});
  generation_delta all{stored.tokens, stored.tail};
  for (auto& token : all.tokens)
    token.origin = token_origin::cache;
  request.reply->delta(std::move(all));
  auto end = stored.end;
  end.usage = {};
  end.usage.n_prompt_tokens = static_cast<int>(request.prompt.size());
  end.usage.n_output_tokens = stored.end.usage.n_output_tokens;
  end.usage.answered_from_cache = true;
  request.reply->finish(end);
  return end.usage;
}

void schedule(const intake_state& state, const admission_ptr& request) {
  request->reply->accepted({static_cast<int>(request->prompt.size()), request->sampling->seed});
  compat::anon_send(state.to.scheduler, request);
}

using self_pointer = intake_actor::stateful_pointer<intake_state>;

/// The response cache has answered, or will not. Null answer: a miss.
void looked_up(self_pointer self, request_id id, const stored_answer_ptr& answer) {
  auto& state = compat::state_of(self);
  const auto found = state.looked_up.extract(id);
  if (found.empty()) // cancelled meanwhile
    return;
  const auto& request = found.mapped();
  if (!answer) {
    schedule(state, request);
    return;
  }
  const auto usage = replay(*answer, *request);
  const double e2e_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - request->arrival).count();
  compat::anon_send(state.to.metrics, request_report{to_string(answer->end.reason), usage, e2e_ms, e2e_ms});
}

void look_up_then_schedule(self_pointer self, const admission_ptr& request) {
  auto& state = compat::state_of(self);
  const auto id = request->id;
  state.looked_up.emplace(id, request);
  compat::request(self, state.to.cache, cache_timeout, cache_lookup{request->cache_key})
      .then([self, id](const cache_reply& reply) { looked_up(self, id, reply.answer); },
            [self, id](const caf::error&) { looked_up(self, id, nullptr); });
}

void cancel(intake_state& state, request_id id) {
  if (const auto found = state.looked_up.extract(id); !found.empty())
    found.mapped()->reply->finish({finish_reason::cancelled, "", {}});
  else // behind the admission, if that is under way to the scheduler
    compat::anon_send(state.to.scheduler, cancellation{id});
}

} // namespace

intake_actor::behavior_type intake(self_pointer self, prompt_format format, const serving_config& config) {
  auto& state = compat::state_of(self);
  state.format = std::move(format);
  state.config = config;
  return {
      [self](const submission& arrived) {
        auto& state = compat::state_of(self);
        const auto now = std::chrono::steady_clock::now();
        auto prepared = prepare(*arrived.request, state.format, state.config, fresh_seed());
        if (auto* failed = std::get_if<generation_failed>(&prepared)) {
          arrived.reply->fail(std::move(*failed));
          return;
        }
        auto request = std::make_shared<admitted_request>(std::move(std::get<admitted_request>(prepared)));
        const auto timeout =
            arrived.request->timeout.count() > 0 ? arrived.request->timeout : state.config.request_timeout;
        request->arrival = now;
        request->deadline = now + std::min(timeout, state.config.request_timeout);
        request->reply = arrived.reply;
        if (request->cache_key.empty())
          schedule(state, request);
        else
          look_up_then_schedule(self, request);
      },
      [self](const cancellation& cancelled) { cancel(compat::state_of(self), cancelled.id); },
      [self](const intake_peers& to) { compat::state_of(self).to = to; },
  };
}

} // namespace souffleur
