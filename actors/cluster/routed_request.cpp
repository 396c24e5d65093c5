#include "actors/cluster/routed_request.hpp"

#include <algorithm>

namespace souffleur {

namespace {

std::int64_t ms_until(steady_time deadline, steady_time now) {
  return std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now).count());
}

} // namespace

stream_order order_for(const admitted_request& request, std::span<const token_id> delivered,
                       attempt_id attempt, steady_time now) {
  stream_order order;
  order.attempt = attempt;
  order.tenant = request.tenant;
  order.prompt = request.prompt;
  order.delivered.assign(delivered.begin(), delivered.end());
  order.sampling = *request.sampling;
  order.speculation = request.speculation;
  order.is_lossy = request.is_lossy;
  order.prediction = request.prediction;
  order.output = request.output;
  order.thinks = request.thoughts != nullptr;
  order.window_policy = request.window_policy;
  order.window = request.window;
  order.retention = request.retention;
  order.priority = request.priority;
  order.most_tokens = request.most_tokens;
  order.time_left_ms = ms_until(request.deadline.at(), now);
  return order;
}

std::variant<admitted_request, generation_failed>
admitted_from(const stream_order& order, request_id id, const prompt_format& format, steady_time now) {
  admitted_request request;
  request.id = id;
  request.tenant = order.tenant;
  request.prompt = order.prompt;
  request.delivered = order.delivered;
  request.sampling = std::make_shared<const sampling_params>(order.sampling);
  request.speculation = order.speculation;
  request.is_lossy = order.is_lossy;
  request.prediction = order.prediction;
  if (order.output) {
    auto compiled = format.grammars->find_or_compile(*order.output);
    if (!compiled)
      return generation_failed{400, "invalid_value", compiled.error(), "", 0};
    request.grammar = std::move(*compiled);
    request.output = order.output;
  }
  if (order.thinks)
    request.thoughts = format.thoughts;
  request.window_policy = order.window_policy;
  request.window = order.window;
  request.retention = order.retention;
  request.priority = order.priority;
  request.most_tokens = order.most_tokens;
  request.trace = true;
  request.arrival = request.prepared = now;
  request.deadline = now + std::chrono::milliseconds{order.time_left_ms};
  return request;
}

admitted_request prefill_request(const prefill_order& order, request_id id, steady_time now) {
  admitted_request request;
  request.id = id;
  request.tenant = order.tenant;
  request.prompt = order.prompt;
  sampling_params sampling;
  sampling.temperature = 0;
  sampling.max_tokens = 1;
  sampling.ignore_eos = true;
  request.sampling = std::make_shared<const sampling_params>(sampling);
  request.speculation.enabled = false;
  request.priority = order.priority;
  request.most_tokens = 1;
  request.arrival = request.prepared = now;
  request.deadline = now + std::chrono::milliseconds{order.time_left_ms};
  return request;
}

} // namespace souffleur
