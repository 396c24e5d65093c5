// Each message that travels comes back as it was.
#include "actors/cluster/wire.hpp"

#include "tests/actors/cluster/travelling.hpp"

namespace souffleur {
namespace {

using wire = testing::travelling;

stream_order any_order() {
  stream_order order;
  order.attempt = 1;
  order.tenant = "tenant";
  order.prompt = {2, 3};
  order.delivered = {4};
  order.sampling.temperature = 0.5F;
  order.sampling.top_k = 5;
  order.sampling.top_p = 0.6F;
  order.sampling.min_p = 0.7F;
  order.sampling.repetition_penalty = 0.8F;
  order.sampling.presence_penalty = 0.9F;
  order.sampling.frequency_penalty = 1.1F;
  order.sampling.logit_bias = {{6, 1.5F}};
  order.sampling.seed = 7;
  order.sampling.n_logprobs = 8;
  order.sampling.max_tokens = 9;
  order.sampling.max_thinking_tokens = 10;
  order.sampling.min_tokens = 11;
  order.sampling.ignore_eos = true;
  order.sampling.stop = {"stop"};
  order.sampling.stop_token_ids = {12};
  order.speculation.enabled = false;
  order.speculation.max_draft = 13;
  order.speculation.n_branches = 14;
  order.speculation.policy = "fixed";
  order.speculation.drafter = "suffix";
  order.speculation.acceptance = "token";
  order.is_lossy = true;
  order.prediction = {15};
  order.output = grammar::output_grammar{grammar::language::regex, "a+"};
  order.thinks = true;
  order.window_policy = "sinks";
  order.window = {16, 17};
  order.retention = {18, true, 19.5};
  order.priority = 20;
  order.most_tokens = 21;
  order.time_left_ms = 22;
  return order;
}

TEST_F(wire, AnOrderArrivesWithAllOfItsFields) {
  const auto sent = any_order();
  const auto got = travelled(sent);
  EXPECT_EQ(got.attempt, sent.attempt);
  EXPECT_EQ(got.tenant, sent.tenant);
  EXPECT_EQ(got.prompt, sent.prompt);
  EXPECT_EQ(got.delivered, sent.delivered);
  const auto& a = got.sampling;
  const auto& b = sent.sampling;
  EXPECT_EQ(std::tie(a.temperature, a.top_k, a.top_p, a.min_p, a.repetition_penalty, a.presence_penalty,
                     a.frequency_penalty, a.logit_bias, a.seed, a.n_logprobs, a.max_tokens,
                     a.max_thinking_tokens, a.min_tokens, a.ignore_eos, a.stop, a.stop_token_ids),
            std::tie(b.temperature, b.top_k, b.top_p, b.min_p, b.repetition_penalty, b.presence_penalty,
                     b.frequency_penalty, b.logit_bias, b.seed, b.n_logprobs, b.max_tokens,
                     b.max_thinking_tokens, b.min_tokens, b.ignore_eos, b.stop, b.stop_token_ids));
  const auto& c = got.speculation;
  const auto& d = sent.speculation;
  EXPECT_EQ(std::tie(c.enabled, c.max_draft, c.n_branches, c.policy, c.drafter, c.acceptance),
            std::tie(d.enabled, d.max_draft, d.n_branches, d.policy, d.drafter, d.acceptance));
  EXPECT_EQ(got.is_lossy, sent.is_lossy);
  EXPECT_EQ(got.prediction, sent.prediction);
  EXPECT_EQ(got.output, sent.output);
  EXPECT_EQ(got.thinks, sent.thinks);
  EXPECT_EQ(got.window_policy, sent.window_policy);
  EXPECT_EQ(got.window, sent.window);
  EXPECT_EQ(got.retention.priority, sent.retention.priority);
  EXPECT_EQ(got.retention.pinned, sent.retention.pinned);
  EXPECT_EQ(got.retention.ttl_s, sent.retention.ttl_s);
  EXPECT_EQ(got.priority, sent.priority);
  EXPECT_EQ(got.most_tokens, sent.most_tokens);
  EXPECT_EQ(got.time_left_ms, sent.time_left_ms);
  expect_refuses_cuts(sent);
}

TEST_F(wire, ABatchArrivesWithAllThatItsRouterCannotKnow) {
  stream_progress one;
  one.attempt = 1;
  one.delta.tokens = {{2, token_origin::suffix, "bytes", "text", token_logprobs{-0.5F, {{3, -1.5F}}}}};
  one.delta.tail = "tail";
  one.delta.step = step_trace{4, 5, 6, token_origin::draft_model, 7.5};
  one.n_steps = 8;
  one.finished = generation_finished{finish_reason::deadline, "stop", {}};
  one.finished->usage.n_cached_tokens = 9;
  one.finished->usage.n_output_tokens = 10;
  one.finished->usage.n_thought_tokens = 11;
  one.finished->usage.queue_ms = 12.5;
  stream_progress other;
  other.is_handed_over = true;
  other.failed = generation_failed{500, "code", "message", "parameter", 13};
  const auto got = travelled(step_batch{{one, other}});
  ASSERT_EQ(got.streams.size(), 2U);
  const auto& a = got.streams[0];
  EXPECT_EQ(a.attempt, 1U);
  ASSERT_EQ(a.delta.tokens.size(), 1U);
  EXPECT_EQ(a.delta.tokens[0].id, 2);
  EXPECT_EQ(a.delta.tokens[0].origin, token_origin::suffix);
  EXPECT_EQ(a.delta.tokens[0].bytes, "") << "the router has them in its vocabulary";
  EXPECT_EQ(a.delta.tokens[0].text, "text");
  EXPECT_EQ(a.delta.tokens[0].logprobs->chosen, -0.5F);
  EXPECT_EQ(a.delta.tokens[0].logprobs->top, one.delta.tokens[0].logprobs->top);
  EXPECT_EQ(a.delta.tail, "tail");
  const auto& step = *a.delta.step;
  EXPECT_EQ(std::tuple(step.n_rows, step.n_drafted, step.n_accepted, step.drafter, step.ms),
            std::tuple(4, 5, 6, token_origin::draft_model, 7.5));
  EXPECT_EQ(a.n_steps, 8);
  EXPECT_FALSE(a.is_handed_over);
  EXPECT_FALSE(a.failed.has_value());
  EXPECT_EQ(a.finished->reason, finish_reason::deadline);
  EXPECT_EQ(a.finished->stop_string, "stop");
  const auto& usage = a.finished->usage;
  EXPECT_EQ(std::tuple(usage.n_cached_tokens, usage.n_output_tokens, usage.n_thought_tokens, usage.queue_ms),
            std::tuple(9, 10, 11, 12.5));
  const auto& b = got.streams[1];
  EXPECT_TRUE(b.is_handed_over);
  EXPECT_FALSE(b.finished.has_value());
  EXPECT_EQ(std::tie(b.failed->status, b.failed->code, b.failed->message, b.failed->parameter,
                     b.failed->retry_after_s),
            std::tie(other.failed->status, other.failed->code, other.failed->message, other.failed->parameter,
                     other.failed->retry_after_s));
  expect_refuses_cuts(step_batch{{one, other}});
}

TEST_F(wire, TheOthersArriveToo) {
  const auto hello = travelled(worker_hello{2, "nonce"});
  EXPECT_EQ(hello.protocol, 2);
  EXPECT_EQ(hello.nonce, "nonce");
  const auto challenge = travelled(router_challenge{"nonce", "proof"});
  EXPECT_EQ(challenge.nonce + challenge.proof, "nonceproof");
  const auto proof =
      travelled(worker_proof{"proof", {"name", "computes", "fingerprint", 3, 4, "address", "prefill"}});
  EXPECT_EQ(proof.proof, "proof");
  EXPECT_EQ(std::tuple(proof.profile.model_name, proof.profile.computes, proof.profile.fingerprint,
                       proof.profile.n_kv_tokens, proof.profile.max_running, proof.profile.address,
                       proof.profile.serves),
            std::tuple("name", "computes", "fingerprint", 3, 4, "address", "prefill"));
  const auto answer = travelled(registration{"why", 5});
  EXPECT_EQ(answer.why, "why");
  EXPECT_EQ(answer.n_credits, 5);
  EXPECT_EQ(travelled(stream_cancel{6}).attempt, 6U);
  const auto change = travelled(stream_change{7, {8, 9, true}});
  EXPECT_EQ(change.attempt, 7U);
  EXPECT_EQ(change.change.max_tokens, 8);
  EXPECT_EQ(change.change.priority, 9);
  EXPECT_TRUE(change.change.stop_thinking);
  EXPECT_FALSE(travelled(stream_change{}).change.max_tokens.has_value());
  const auto later = travelled(stream_postponement{10, 11});
  EXPECT_EQ(later.attempt, 10U);
  EXPECT_EQ(later.time_left_ms, 11);
  EXPECT_EQ(travelled(batch_credit{12}).n, 12);
  travelled(orders_void{});
  const auto order = travelled(prefill_order{16, "tenant", {17, 18}, 19, 20, 21});
  EXPECT_EQ(std::tuple(order.attempt, order.tenant, order.prompt, order.first_page, order.priority,
                       order.time_left_ms),
            std::tuple(16U, "tenant", std::vector<token_id>{17, 18}, 19, 20, 21));
  const auto page = travelled(shipped_page{22, "format", "name", 23, std::string("by\0tes", 6)});
  EXPECT_EQ(std::tuple(page.attempt, page.format, page.name, page.checksum, page.bytes),
            std::tuple(22U, "format", "name", 23U, std::string("by\0tes", 6)));
  expect_refuses_cuts(shipped_page{22, "format", "name", 23, "bytes"});
  const auto receipt = travelled(page_receipt{24, 25, "why"});
  EXPECT_EQ(std::tuple(receipt.attempt, receipt.n_pages, receipt.why), std::tuple(24U, 25, "why"));
  const auto ended = travelled(prefill_ended{26, "why"});
  EXPECT_EQ(std::tuple(ended.attempt, ended.why), std::tuple(26U, "why"));
  const auto status = travelled(worker_status{13, true, {14}, {15}});
  EXPECT_EQ(std::tuple(status.n_running, status.is_draining, status.added.front(), status.removed.front()),
            std::tuple(13, true, 14U, 15U));
}

} // namespace
} // namespace souffleur
