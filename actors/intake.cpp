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

void replay(const stored_answer& stored, const admitted_request& request) {
  request.reply->accepted({static_cast<int>(request.prompt.size()), request.sampling->seed});
  request.reply->delta({stored.tokens, stored.tail});
  auto end = stored.end;
  end.usage = {};
  end.usage.n_prompt_tokens = static_cast<int>(request.prompt.size());
  end.usage.n_output_tokens = stored.end.usage.n_output_tokens;
  end.usage.answered_from_cache = true;
  request.reply->finish(end);
}

void schedule(const intake_state& state, const admission_ptr& request) {
  request->reply->accepted({static_cast<int>(request->prompt.size()), request->sampling->seed});
  compat::anon_send(state.to.scheduler, request);
}

void look_up_then_schedule(intake_actor::stateful_pointer<intake_state> self, const admission_ptr& request) {
  compat::request(self, compat::state_of(self).to.cache, cache_timeout, cache_lookup{request->cache_key})
      .then(
          [self, request](const cache_reply& reply) {
            if (reply.answer)
              replay(*reply.answer, *request);
            else
              schedule(compat::state_of(self), request);
          },
          [self, request](const caf::error&) { schedule(compat::state_of(self), request); });
}

} // namespace

intake_actor::behavior_type intake(intake_actor::stateful_pointer<intake_state> self, prompt_format format,
                                   const serving_config& config) {
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
        const auto timeout = arrived.request->timeout.count() > 0 ? arrived.request->timeout
                                                                  : state.config.request_timeout;
        request->arrival = now;
        request->deadline = now + std::min(timeout, state.config.request_timeout);
        request->reply = arrived.reply;
        if (request->cache_key.empty())
          schedule(state, request);
        else
          look_up_then_schedule(self, request);
      },
      [self](const intake_peers& to) { compat::state_of(self).to = to; },
  };
}

} // namespace souffleur
