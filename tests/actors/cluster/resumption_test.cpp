// A request that goes on behind tokens which somebody else has said.
#include "actors/cluster/routed_request.hpp"
#include "tests/actors/fake_grammars.hpp"
#include "tests/actors/stage.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace souffleur {
namespace {

using namespace testing;

struct said {
  std::vector<token_id> tokens;
  std::string text;
  finish_reason reason = finish_reason::stop;
  std::string stop_string;
  int n_output = 0;
};

said answer_of(const generation_request& request, std::vector<token_id> delivered) {
  serving_config config;
  config.n_kv_pages = 64;
  config.drafter = "suffix";
  config.draft_policy = "fixed";
  const prompt_format format{std::make_shared<fake_tokenizer>(), std::make_shared<fake_chat_template>(),
                             "fake", 4096,
                             std::make_shared<grammar::grammar_library>(std::make_shared<fake_tokenizer>())};
  auto admitted = std::get<admitted_request>(prepare(request, format, config, 0));
  // Through the form in which it travels.
  const auto order = order_for(admitted, delivered, 1, {});
  stage play{config};
  auto resumed = std::get<admitted_request>(admitted_from(order, request.id, format, play.now()));
  resumed.deadline = play.now() + std::chrono::hours{1};
  const auto recorder = std::make_shared<answer_recorder>();
  play.submit_prepared(std::move(resumed), recorder);
  for (int i = 0; i < 20'000 && !recorder->ended(); ++i)
    RC_ASSERT(play.step());
  const auto answer = recorder->now();
  RC_ASSERT(answer.finished.has_value());
  return {answer.tokens, answer.text, answer.finished->reason, answer.finished->stop_string,
          answer.finished->usage.n_output_tokens};
}

} // namespace

RC_GTEST_PROP(Resumption, WhoGoesOnSaysWhatTheFirstOneWouldHaveSaid, ()) {
  auto request = request_of(1, *rc::gen::inRange<unsigned>(0, 40), *rc::gen::inRange<unsigned>(0, 60));
  request.sampling.max_tokens = *rc::gen::inRange(1, 24);
  switch (*rc::gen::inRange(0, 4)) {
  case 0:
    request.sampling.stop = {*rc::gen::element<std::string>("a", "b ", "no", "e.", "xyz")};
    break;
  case 1:
    request.sampling.frequency_penalty = 1.5F;
    request.sampling.repetition_penalty = 1.2F;
    break;
  case 2:
    request.output = output_constraint{{grammar::language::regex, "([a-m]{1,3} )+[n-z]!?"}, "x"};
    break;
  default:
    break;
  }
  const auto whole = answer_of(request, {});
  const auto n_delivered = *rc::gen::inRange<std::size_t>(0, whole.tokens.size() + 1);
  const std::vector<token_id> delivered(whole.tokens.begin(),
                                        whole.tokens.begin() + static_cast<std::ptrdiff_t>(n_delivered));
  text_stream shown{std::make_shared<fake_tokenizer>(), request.sampling.stop};
  std::string text;
  for (const auto token : delivered)
    text += shown.push(token);
  const auto rest = answer_of(request, delivered);
  auto tokens = delivered;
  tokens.insert(tokens.end(), rest.tokens.begin(), rest.tokens.end());
  RC_ASSERT(tokens == whole.tokens);
  RC_ASSERT(text + rest.text == whole.text);
  RC_ASSERT(rest.reason == whole.reason);
  RC_ASSERT(rest.stop_string == whole.stop_string);
  RC_ASSERT(rest.n_output == whole.n_output);
}

} // namespace souffleur
